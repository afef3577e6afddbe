//! Answered attempts that were not the end of their call: they were paid, so they are recorded.

use crate::{BoxFuture, Error, Usage};

/// An answer that was paid for and not good enough.
#[derive(Clone, Debug, PartialEq)]
pub struct AnsweredAttempt {
    /// The answer's text, from which the next ask can go on.
    pub text: String,
    /// What was wrong with it, as the model is told.
    pub fault: String,
    /// Tokens it used, where known.
    pub usage: Option<Usage>,
}

/// Where a call records answered attempts, and finds those of an earlier run that was killed.
pub trait AttemptJournal: Send + Sync + std::fmt::Debug {
    /// Attempts of the same call that earlier runs recorded.
    fn earlier(&self) -> Vec<AnsweredAttempt>;

    /// Records an attempt; done when it is durable.
    ///
    /// # Errors
    /// The ledger cannot be written: the call must stop.
    fn record(&self, attempt: AnsweredAttempt) -> BoxFuture<'_, Result<(), Error>>;
}
