//! One call of a pattern, and the sum of all of them.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::part::{paid, recorded_or_new};
use crate::{
    ChatRequest, Error, Reply, Schema, SharedModel, Spent, Usage, Usd, job::AttemptJournal,
    schema::OffSchema,
};

/// What the calls of a pattern took together, failed ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Expense {
    /// Calls, those whose answer an earlier run had recorded included.
    pub calls: u64,
    /// Attempts on the wire in this run.
    pub attempts: u64,
    /// Tokens and money.
    pub spent: Spent,
}

impl Expense {
    /// Tokens, where any call told them.
    pub fn usage(&self) -> Option<Usage> {
        self.spent.usage()
    }

    /// What it cost; `None` where that of any call is not known.
    pub fn cost(&self) -> Option<Usd> {
        self.spent.cost()
    }

    /// What one call took.
    pub(super) fn by(result: &Result<Reply, Error>) -> Self {
        let (attempts, spent) = match result {
            Ok(reply) => (reply.head.attempts, reply.spent()),
            Err(error) => (error.attempts(), error.spent()),
        };
        Self {
            calls: 1,
            attempts: attempts.into(),
            spent,
        }
    }
}

impl std::ops::AddAssign for Expense {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.attempts += other.attempts;
        self.spent += other.spent;
    }
}

/// Asks, or takes the answer that an earlier run recorded for this part. A refusal is an error: it holds nothing to go on
/// with. The reply's receipt is given back, since what the pattern makes of the answer is not waited for by a commit.
pub(super) async fn ask(
    model: &SharedModel,
    mut request: ChatRequest,
    part: Option<Arc<dyn AttemptJournal>>,
) -> Result<Reply, Error> {
    request.journal = part;
    let mut reply = recorded_or_new(model, request).await?;
    reply.head.receipt = None;
    match reply.answer.not_refused() {
        Ok(()) => Ok(reply),
        Err(error) => Err(paid(error, &reply)),
    }
}

/// Reads the answer as its schema says. A model without a stack does not check its answers, so it is done here.
pub(super) fn typed<T: DeserializeOwned>(reply: &Reply, schema: &Schema) -> Result<T, Error> {
    let read = schema.accept(reply.text()).and_then(|value| {
        serde_json::from_value(value).map_err(|error| OffSchema(error.to_string()))
    });
    read.map_err(|off| paid(off.into(), reply))
}
