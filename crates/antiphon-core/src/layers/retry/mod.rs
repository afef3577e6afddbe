//! [`Retry`]: makes a failed attempt again.
//!
//! The loop is here, the judgement in [`RetryConfig`], the rationing in the account's retry budget. A response is
//! handed out when it can no longer fail in a way that a retry would hide: a whole one when it is complete, a streamed one
//! at its first delta with content. What fails after that is the caller's.

mod budget;
mod policy;

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

pub(super) use budget::Budget;
pub use policy::RetryConfig;

use super::{admit::Account, meter::Metrics};
use crate::{
    Body, BoxFuture, ChatRequest, ChatResponse, Error, ErrorKind, Model, SharedModel, Spent,
    chat::DeltaStream,
};
pub(crate) use policy::Verdict;

/// When a caller is to come again where neither the provider nor a pause says it.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// The layer; see the [module](self).
///
/// An error whose [`Error::attempts`] is 0 never reached the wire (the account was given up, the run drains): it is
/// final and not counted.
#[derive(Debug)]
pub struct Retry {
    inner: SharedModel,
    config: RetryConfig,
    account: Arc<Account>,
    metrics: Arc<Metrics>,
    drain: CancellationToken,
}

impl Retry {
    /// Retries around `inner`, paid from the budget of `account` and counted in `metrics`. Once `drain` is cancelled,
    /// nothing is sent again.
    pub fn new(
        inner: SharedModel,
        config: RetryConfig,
        account: Arc<Account>,
        metrics: Arc<Metrics>,
        drain: CancellationToken,
    ) -> Self {
        Self {
            inner,
            config,
            account,
            metrics,
            drain,
        }
    }

    async fn run(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let mut attempts = 0;
        let mut failures = 0;
        let mut waited = Duration::ZERO;
        let mut spent = Spent::default();
        let mut last: Option<Error> = None;
        loop {
            if self.drain.is_cancelled() {
                let stopped = Error::stopped("stopped before the call was sent");
                return Err(stopped.with_attempts(attempts).with_spent(spent));
            }
            let error = match attempt(&self.inner, request.clone()).await {
                Ok(mut response) => {
                    self.account.budget().deposit();
                    attempts += response.head.attempts.max(1);
                    response.head.attempts = attempts;
                    response.head.earlier += spent;
                    return Ok(counted(response, attempts, spent));
                }
                Err(error) => error,
            };
            let sent = error.attempts();
            attempts += sent;
            spent += error.spent();
            let error = match last.take() {
                // what the provider has said tells more than that it is not asked again
                Some(last) if error.is_turned_away() => last,
                _ => error,
            };
            let error = error.with_spent(spent);
            let excused = self.config.patience.is_none() && self.account.excuses(&error);
            let verdict = match sent {
                0 => Verdict::Final,
                _ => self.judge(&error, failures, excused),
            };
            let delay = match verdict {
                Verdict::Again(delay) if self.account.given_up().is_none() => delay,
                Verdict::TooLong if self.config.patience.is_some() => {
                    return Err(self.last_word(error).with_attempts(attempts));
                }
                // the account's own error names the outage; this one names what this call has seen
                Verdict::Again(_) | Verdict::TooLong => {
                    return Err(error.with_attempts(attempts).stopping_the_run());
                }
                Verdict::Final => return Err(self.last_word(error).with_attempts(attempts)),
            };
            let delay = self.to_the_end_of_the_pause(delay);
            waited = waited.saturating_add(delay);
            if !self.may_wait(waited, &error) {
                return Err(self.last_word(error).with_attempts(attempts));
            }
            failures += u32::from(!excused);
            self.back_off(delay, excused).await.map_err(|stopped| {
                let stopped = stopped.with_source(error.clone());
                stopped.with_attempts(attempts).with_spent(spent)
            })?;
            self.metrics.retried(error.kind());
            last = Some(error);
        }
    }

    /// Whether a caller who waits is better off with another try after so long a time of waiting than with the failure.
    /// Where nobody waits, always. A try that may be made is paid for.
    fn may_wait(&self, waited: Duration, error: &Error) -> bool {
        let Some(patience) = self.config.patience else {
            return true;
        };
        waited <= patience && !self.account.excuses(error) && self.account.budget().try_take()
    }

    /// A caller who waits waits for the pause of the account, too, and his patience is with both together.
    fn to_the_end_of_the_pause(&self, delay: Duration) -> Duration {
        let pause = self.account.pause().unwrap_or_default();
        match self.config.patience {
            Some(_) => delay.max(pause),
            None => delay,
        }
    }

    /// A failure as its caller is told: one that was refused for asking too often hears when to come again, as the provider
    /// said it or as the account waits.
    fn last_word(&self, error: Error) -> Error {
        let is_untold = error.kind() == ErrorKind::RateLimited && error.retry_after().is_none();
        if self.config.patience.is_none() || !is_untold {
            return error;
        }
        let pause = self.account.pause().unwrap_or(COME_AGAIN);
        error.with_retry_after(Some(pause))
    }

    fn judge(&self, error: &Error, failures: u32, excused: bool) -> Verdict {
        let max_wait = self.account.max_wait();
        if excused {
            return RetryConfig::judge_excused(error, max_wait);
        }
        let chance = self.account.dice().unit();
        self.config.judge(error, failures, max_wait, chance)
    }

    /// Waits for the delay, then for the budget. Probes of an outage are rationed by admission and cost nothing.
    async fn back_off(&self, delay: Duration, excused: bool) -> Result<(), Error> {
        let clock = self.account.clock();
        let wait = async {
            if !delay.is_zero() {
                clock.sleep_until(clock.now() + delay).await;
            }
            if !excused && self.config.patience.is_none() {
                self.account.budget().take().await;
            }
        };
        tokio::select! {
            biased;
            () = self.drain.cancelled() => Err(Error::stopped("stopped before a retry")),
            () = wait => Ok(()),
        }
    }
}

impl Model for Retry {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.run(request))
    }
}

/// One attempt, up to the point where it may be handed out.
async fn attempt(inner: &SharedModel, request: ChatRequest) -> Result<ChatResponse, Error> {
    let ChatResponse { head, body } = inner.call(request).await?;
    // the head with its receipt is dropped on an error, so that a call in back-off holds nothing
    let body = match body {
        Body::Ready(answer) => Body::Ready(answer),
        Body::Whole(answer) => Body::Ready(
            answer
                .await
                .map_err(|error| stamped(error, head.attempts))?,
        ),
        Body::Stream(deltas) => {
            let begun = begin(deltas).await;
            Body::Stream(begun.map_err(|error| stamped(error, head.attempts))?)
        }
    };
    Ok(ChatResponse { head, body })
}

/// An error of a body belongs to an attempt that was made.
pub(super) fn stamped(error: Error, attempts: u32) -> Error {
    let attempts = error.attempts().max(attempts).max(1);
    error.with_attempts(attempts)
}

/// Reads a stream up to its first delta with content, and gives the stream as if nothing had been read.
async fn begin(mut deltas: DeltaStream) -> Result<DeltaStream, Error> {
    let mut read = Vec::new();
    loop {
        let Some(delta) = deltas.next().await else {
            let message = "the stream ended before its first delta";
            return Err(Error::new(ErrorKind::BadResponse, message));
        };
        let delta = delta?;
        let begun = delta.has_content() || delta.finish_reason.is_some();
        read.push(Ok(delta));
        if begun {
            return Ok(Box::pin(futures_util::stream::iter(read).chain(deltas)));
        }
    }
}

/// A response whose later errors know how many attempts were made, and what they used.
fn counted(response: ChatResponse, attempts: u32, earlier: Spent) -> ChatResponse {
    let ChatResponse { head, body } = response;
    let body = match body {
        Body::Stream(deltas) => {
            let deltas = deltas.map(move |delta| {
                delta.map_err(|error| {
                    let spent = earlier + error.spent();
                    error.with_attempts(attempts).with_spent(spent)
                })
            });
            Body::Stream(Box::pin(deltas))
        }
        other => other,
    };
    ChatResponse { head, body }
}
