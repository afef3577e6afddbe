//! Jobs: many requests, a ledger, one outcome for each.

mod journal;

pub use journal::{AnsweredAttempt, AttemptJournal};
