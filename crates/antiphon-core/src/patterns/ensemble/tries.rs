//! One model's answer, with the ensemble's own limit and retries around it.

use std::{sync::Arc, time::Duration};

use crate::{
    ChatRequest, Clock, Dice, Error, Phase, Reply, SharedModel, Spent,
    layers::retry::{RetryConfig, Verdict},
};

/// The longest Retry-After that is obeyed.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// How a model is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries<'a> {
    /// Of one try.
    pub(super) timeout: Option<Duration>,
    /// Attempts after the first, those of the model's own stack included.
    pub(super) max_retries: u32,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) dice: &'a Dice,
}

impl Tries<'_> {
    /// Asks until an answer comes or trying is over. The reply or error tells the attempts and tokens of all tries.
    pub(super) async fn ask(
        &self,
        model: &SharedModel,
        request: ChatRequest,
    ) -> Result<Reply, Error> {
        let policy = RetryConfig {
            max_retries: self.max_retries,
            ..RetryConfig::default()
        };
        let (mut attempts, mut failures, mut used) = (0, 0, Spent::default());
        loop {
            let error = match self.once(model, request.clone()).await {
                Ok(mut reply) => {
                    reply.head.attempts += attempts;
                    reply.head.earlier += used;
                    return Ok(reply);
                }
                Err(error) => error,
            };
            attempts += error.attempts();
            used += error.spent();
            let earlier = failures + error.attempts().saturating_sub(1);
            failures = earlier + 1;
            match policy.judge(&error, earlier, MAX_WAIT, self.dice.unit()) {
                Verdict::Again(delay) if !error.stops_the_run() => {
                    self.clock.sleep_until(self.clock.now() + delay).await;
                }
                _ => return Err(error.with_attempts(attempts).with_spent(used)),
            }
        }
    }

    async fn once(&self, model: &SharedModel, request: ChatRequest) -> Result<Reply, Error> {
        let Some(limit) = self.timeout else {
            return model.ask(request).await;
        };
        let end = self.clock.now() + limit;
        tokio::select! {
            biased;
            reply = model.ask(request) => reply,
            () = self.clock.sleep_until(end) => Err(Error::timeout(Phase::Total, limit).with_attempts(1)),
        }
    }
}
