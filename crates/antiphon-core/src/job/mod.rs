//! Jobs: many requests, a ledger, one outcome for each row, output in input order.

mod driver;
mod journal;
mod ledger;
mod outcome;
mod planner;
mod progress;
mod row;
mod sequencer;
mod sink;
mod stop;

pub use driver::{Job, JobConfig, drain_at_deadline};
pub use journal::{AnsweredAttempt, AttemptJournal};
pub use ledger::{
    Checkpoint, Finished, ItemId, LayoutRow, Ledger, LedgerEvent, Outcome, OutputRow, PlannedRow,
    Verdict,
};
pub use planner::{Comparison, Survey, survey};
pub use progress::{Finished as FinishedRows, Progress, ProgressSnapshot};
pub use row::{Call, LineFault, LineHash, Prepare, PreparedRow, RawRow, Seen, Source};
pub use sequencer::line_hash;
pub use sink::{Order, Sink};
pub use stop::{Stop, StopReason};
