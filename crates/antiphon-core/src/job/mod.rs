//! Jobs: many requests, a ledger, one outcome for each row, output in input order.

mod config;
mod driver;
mod journal;
mod ledger;
mod notable;
mod outcome;
mod planner;
mod progress;
mod ranges;
mod row;
mod row_journal;
mod sequencer;
mod sink;
mod stop;
mod survey;

pub use config::JobConfig;
pub use driver::{Job, drain_at_deadline};
pub use journal::{Answered, AnsweredAttempt, AttemptJournal, RecordedAttempt};
pub use ledger::{
    Checkpoint, Finished, ItemId, KnownRow, LayoutRow, Ledger, LedgerEvent, Outcome, OutputRow,
    PlannedRow, Verdict, custom_id_key,
};

pub use notable::{Notable, NotableRow};
pub use progress::{Finished as FinishedRows, Progress, ProgressSnapshot};
pub use row::{Beginning, Call, LineFault, LineHash, Prepare, PreparedRow, RawRow, Seen, Source};
pub use sequencer::line_hash;
pub use sink::{Order, Sink};
pub use stop::{Stop, StopReason};
pub use survey::{Comparison, Settled, Survey, survey};
