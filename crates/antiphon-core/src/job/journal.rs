//! Answered attempts that were not the end of their call: they were paid, so they are recorded.

use std::sync::Arc;

use crate::{BoxFuture, Error, Spent, chat::Reply};

/// An answer that was paid for and not good enough.
#[derive(Clone, Debug, PartialEq)]
pub struct AnsweredAttempt {
    /// The answer's text, from which the next ask can go on.
    pub text: String,
    /// What was wrong with it, as the model is told.
    pub fault: String,
    /// What it used.
    pub spent: Spent,
}

/// Where a call records answered attempts, and finds those of an earlier run that was killed.
///
/// A call may be made of parts: the members of an ensemble and its decider, each with a journal of its own.
pub trait AttemptJournal: Send + Sync + std::fmt::Debug {
    /// Attempts of the same call that earlier runs recorded.
    fn earlier(&self) -> Vec<AnsweredAttempt>;

    /// Records an attempt; done when it is durable.
    ///
    /// # Errors
    /// The ledger cannot be written: the call must stop.
    fn record(&self, attempt: AnsweredAttempt) -> BoxFuture<'_, Result<(), Error>>;

    /// The journal of a part of this call. The name tells parts apart, also after a restart: a member's number, `decide`.
    fn part(&self, name: &str) -> Arc<dyn AttemptJournal>;

    /// The answer that an earlier run recorded for this part.
    fn answer(&self) -> Option<Reply>;

    /// Records the answer of this part; done when it is durable. Only then may its receipt be dropped.
    ///
    /// # Errors
    /// As [`Self::record`].
    fn record_answer(&self, reply: &Reply) -> BoxFuture<'_, Result<(), Error>>;
}

/// What a ledger keeps of an answered attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedAttempt {
    /// The part of the call, its names joined by `/`; empty for the call itself.
    pub part: String,
    /// What came.
    pub answered: Answered,
}

/// An answered attempt that was not the end of its item.
#[derive(Clone, Debug, PartialEq)]
pub enum Answered {
    /// It was not good enough.
    Faulty(AnsweredAttempt),
    /// The answer of a part, as [`Reply::to_record`] writes it.
    Good(String),
}
