//! All outcomes of a batch.

use std::{sync::Arc, time::Duration};

use super::{BatchSummary, CallbackFailure, calls::Calls};
use crate::{Error, Reply, Spent, Usage};

/// What became of one request.
#[derive(Clone, Debug)]
pub struct BatchOutcome<A = Reply> {
    /// Which request of the batch, from 0.
    pub index: usize,
    /// Its answer, or why there is none.
    pub result: Result<A, Error>,
    /// From when its turn came to its outcome: waiting for limits and retries are in it.
    pub duration: Duration,
}

impl<A: AsRef<Reply>> BatchOutcome<A> {
    /// Tokens that were paid for it; `None` where nothing is known or nothing was paid.
    pub fn usage(&self) -> Option<Usage> {
        self.spent().usage()
    }

    /// What its attempts have used and cost.
    pub fn spent(&self) -> Spent {
        match &self.result {
            Ok(answer) => answer.as_ref().spent(),
            Err(error) => error.spent(),
        }
    }
}

/// The outcomes of a batch: one for each request, at its index, both fates.
#[derive(Debug)]
pub struct BatchResult<A = Reply> {
    /// The outcomes, in the order of their requests.
    pub outcomes: Vec<BatchOutcome<A>>,
    /// How long it took, retries included.
    pub duration: Duration,
    /// What went wrong with the progress callback. Nothing of it is in the outcomes.
    pub callback_failures: Vec<CallbackFailure>,
    calls: Arc<Calls<A>>,
    /// What failures used that were asked again since.
    earlier: Spent,
}

impl<A: AsRef<Reply> + Send + Unpin + 'static> BatchResult<A> {
    pub(super) async fn of(calls: Arc<Calls<A>>) -> Self {
        let all = (0..calls.requests.len()).collect();
        let mut result = Self {
            outcomes: Vec::new(),
            duration: Duration::ZERO,
            callback_failures: Vec::new(),
            calls,
            earlier: Spent::default(),
        };
        result.outcomes = result.ask(all).await;
        result
    }

    /// Asks these and gives their outcomes by index.
    async fn ask(&mut self, indices: Vec<usize>) -> Vec<BatchOutcome<A>> {
        let begun = self.calls.clock.now();
        let mut outcomes = Vec::with_capacity(indices.len());
        let mut stream = self.calls.start(indices);
        while let Some(outcome) = stream.next().await {
            outcomes.push(outcome);
        }
        outcomes.sort_unstable_by_key(|outcome| outcome.index);
        self.callback_failures.extend(stream.callback_failures());
        self.duration += self.calls.clock.now().since(begun);
        outcomes
    }

    /// Asks the failed requests again; their new outcomes stand at the same indices. Tokens that the failures had used
    /// stay in [`Self::usage`].
    pub async fn retry_failed(mut self) -> Self {
        let failed = self.failures().map(|(index, _)| index).collect();
        for outcome in self.ask(failed).await {
            let index = outcome.index;
            let failure = std::mem::replace(&mut self.outcomes[index], outcome);
            self.earlier += failure.spent();
        }
        self
    }

    /// The answers, each with its index.
    pub fn successes(&self) -> impl Iterator<Item = (usize, &A)> {
        let each = self.outcomes.iter();
        each.filter_map(|outcome| Some((outcome.index, outcome.result.as_ref().ok()?)))
    }

    /// The errors, each with its index.
    pub fn failures(&self) -> impl Iterator<Item = (usize, &Error)> {
        let each = self.outcomes.iter();
        each.filter_map(|outcome| Some((outcome.index, outcome.result.as_ref().err()?)))
    }

    /// How many have an answer.
    pub fn succeeded(&self) -> usize {
        self.successes().count()
    }

    /// How many have none.
    pub fn failed(&self) -> usize {
        self.failures().count()
    }

    /// The share that has an answer; 1 for none of none.
    pub fn success_rate(&self) -> f64 {
        match self.outcomes.len() {
            0 => 1.0,
            total => self.succeeded() as f64 / total as f64,
        }
    }

    /// All tokens that were paid for, by kind: answers, answers asked again, failures. What was at hand is not in it.
    pub fn usage(&self) -> Usage {
        self.spent().usage().unwrap_or_default()
    }

    /// What all attempts have used and cost.
    pub fn spent(&self) -> Spent {
        self.earlier + Spent::sum(self.outcomes.iter().map(BatchOutcome::spent))
    }

    /// Outcomes a second, 0 where no time has passed.
    pub fn requests_per_second(&self) -> f64 {
        match self.duration.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.outcomes.len() as f64 / seconds,
        }
    }

    /// The numbers, as reports write them.
    pub fn summary(&self) -> BatchSummary {
        BatchSummary::of(self)
    }

    /// The results alone, in the order of their requests.
    pub fn into_results(self) -> Vec<Result<A, Error>> {
        let outcomes = self.outcomes.into_iter();
        outcomes.map(|outcome| outcome.result).collect()
    }
}
