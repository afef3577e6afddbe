//! The outcomes of a batch, one after the other.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{Stream, StreamExt};

use super::{BatchOutcome, CallbackFailure, calls::Finished, progress::Reporter};
use crate::patterns::{Ordered, Window};

/// The outcomes of a batch. Dropping it cancels what is in flight.
#[derive(Debug)]
pub struct BatchStream<A> {
    outcomes: Outcomes<A>,
    reporter: Arc<Reporter>,
}

#[derive(Debug)]
enum Outcomes<A> {
    AsTheyFinish(Window<'static, Finished<A>>),
    InOrder(Ordered<'static, Finished<A>>),
}

impl<A: Send + Unpin + 'static> BatchStream<A> {
    pub(super) fn new(outcomes: Window<'static, Finished<A>>, reporter: Arc<Reporter>) -> Self {
        Self {
            outcomes: Outcomes::AsTheyFinish(outcomes),
            reporter,
        }
    }

    /// The outcomes in the order of their requests. Those that wait for an earlier one are kept, a bounded number of them.
    #[must_use]
    pub fn ordered(self) -> Self {
        let outcomes = match self.outcomes {
            Outcomes::AsTheyFinish(window) => Outcomes::InOrder(window.ordered()),
            in_order => in_order,
        };
        Self { outcomes, ..self }
    }

    /// The next outcome; `None` after the last.
    pub async fn next(&mut self) -> Option<BatchOutcome<A>> {
        StreamExt::next(self).await
    }

    /// What went wrong with the progress callback so far.
    pub fn callback_failures(&self) -> Vec<CallbackFailure> {
        self.reporter.failures()
    }
}

impl<A: Send + Unpin + 'static> Stream for BatchStream<A> {
    type Item = BatchOutcome<A>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let finished = match &mut self.outcomes {
            Outcomes::AsTheyFinish(window) => {
                ready!(window.poll_next_unpin(context)).map(|(_, finished)| finished)
            }
            Outcomes::InOrder(ordered) => ready!(ordered.poll_next_unpin(context)),
        };
        // from here on the outcome's bytes are the taker's
        Poll::Ready(finished.map(|Finished { outcome, hold }| {
            drop(hold);
            outcome
        }))
    }
}
