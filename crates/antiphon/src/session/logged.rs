//! Tells of each attempt on the wire, where `ANTIPHON_LOG` asks for it (`ANTIPHON_LOG=debug`).

use std::sync::Arc;

use antiphon_core::{
    Answer, Body, BoxFuture, ChatRequest, ChatResponse, Clock, Error, Model, Moment, SharedModel,
};
use tracing::{Level, debug};

/// What filters call it.
const TARGET: &str = "antiphon";

/// The leaf, told of where anybody listens. Otherwise it is the very same leaf, so that a log nobody reads costs nothing.
pub(super) fn logged(leaf: SharedModel, clock: Arc<dyn Clock>) -> SharedModel {
    if tracing::enabled!(target: TARGET, Level::DEBUG) {
        Arc::new(Logged { leaf, clock })
    } else {
        leaf
    }
}

#[derive(Debug)]
struct Logged {
    leaf: SharedModel,
    clock: Arc<dyn Clock>,
}

impl Logged {
    async fn tell(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let attempt = Attempt {
            model: self.leaf.name().to_owned(),
            clock: self.clock.clone(),
            sent: self.clock.now(),
        };
        let mut response = match self.leaf.call(request).await {
            Ok(response) => response,
            Err(error) => {
                attempt.failed(&error);
                return Err(error);
            }
        };
        let request_id = response.head.request_id.clone();
        response.body = match response.body {
            Body::Whole(whole) => Body::Whole(Box::pin(async move {
                let answer = whole.await;
                match &answer {
                    Ok(answer) => attempt.answered(request_id.as_deref(), answer),
                    Err(error) => attempt.failed(error),
                }
                answer
            })),
            Body::Ready(answer) => {
                attempt.answered(request_id.as_deref(), &answer);
                Body::Ready(answer)
            }
            Body::Stream(deltas) => {
                let (model, took) = (&attempt.model, attempt.took_ms());
                debug!(target: TARGET, model, request_id, took, "a stream begins");
                Body::Stream(deltas)
            }
        };
        Ok(response)
    }
}

struct Attempt {
    model: String,
    clock: Arc<dyn Clock>,
    sent: Moment,
}

impl Attempt {
    fn took_ms(&self) -> u64 {
        let took = self.clock.now().since(self.sent);
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    }

    /// Texts of prompts and answers are not told: logs are kept by people who must not read them.
    fn answered(&self, request_id: Option<&str>, answer: &Answer) {
        // what is not known is left out, never 0
        let usage = answer.usage();
        debug!(
            target: TARGET,
            model = self.model,
            request_id,
            took_ms = self.took_ms(),
            finish = answer.finish_reason.as_str(),
            input_tokens = usage.map(|usage| usage.input_tokens),
            output_tokens = usage.map(|usage| usage.output_tokens),
            "answered"
        );
    }

    fn failed(&self, error: &Error) {
        debug!(
            target: TARGET,
            model = self.model,
            request_id = error.request_id(),
            took_ms = self.took_ms(),
            code = error.kind().code(),
            status = error.status(),
            "failed: {error}"
        );
    }
}

impl Model for Logged {
    fn name(&self) -> &str {
        self.leaf.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.leaf)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.tell(request))
    }
}
