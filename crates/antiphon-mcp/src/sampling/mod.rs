//! [`Sampling`]: the model of a client that is connected.
//!
//! It knows nothing of connections: what is to be sampled goes into an [`Outbox`], and a carrier in the task of the tool
//! call takes it to the client in the way of the client's era.

mod answer;
mod request;

use antiphon_core::{
    BoxFuture, ChatRequest, ChatResponse, Error, ErrorKind, Limits, Model,
    chat::{Body, Delivery, Head, deltas_of},
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// What a client has declared of its model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// It lends its model.
    pub(crate) sampling: bool,
    /// Its model may be given tools.
    pub(crate) tools: bool,
}

/// A message that waits for the client's model.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The parameters of `sampling/createMessage`.
    pub(crate) params: Value,
    /// Which of several answers to the same it is.
    pub(crate) sample: u32,
    /// Takes the result of `sampling/createMessage`. It is closed when nobody waits any more.
    pub(crate) answer: oneshot::Sender<Result<Value, Error>>,
}

/// Where messages wait for a carrier.
pub(crate) type Outbox = mpsc::UnboundedSender<Asked>;

/// The client's model, bound to one call of a tool.
#[derive(Debug)]
pub(crate) struct Sampling {
    capabilities: Capabilities,
    limits: Limits,
    outbox: Outbox,
}

impl Sampling {
    /// The model of a client that bears so much.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]: it lends none.
    pub(crate) fn new(
        capabilities: Capabilities,
        limits: Limits,
        outbox: Outbox,
    ) -> Result<Self, Error> {
        if !capabilities.sampling {
            let message = "this client lends no model: it has not declared the capability `sampling`; configure a provider \
                           and a default_model in antiphon.toml, or name one with `model`";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(Self {
            capabilities,
            limits,
            outbox,
        })
    }
}

impl Model for Sampling {
    fn name(&self) -> &str {
        "client"
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let params = request::params_of(&request, self.capabilities)?;
            let (answer, answered) = oneshot::channel();
            let asked = Asked {
                params,
                sample: request.sample,
                answer,
            };
            let gone = |_| gone();
            self.outbox.send(asked).map_err(|_| self::gone())?;
            let result = answered.await.map_err(gone)??;
            let answer = answer::answer_of(&result)?;
            let head = Head {
                model: answer.model.clone().unwrap_or_else(|| "client".to_owned()),
                status: 200,
                attempts: 1,
                ..Head::default()
            };
            let body = match request.delivery {
                Delivery::Whole => Body::Ready(answer),
                Delivery::Streamed => {
                    let deltas = deltas_of(&answer).into_iter().map(Ok);
                    Body::Stream(Box::pin(futures_util::stream::iter(deltas)))
                }
            };
            Ok(ChatResponse { head, body })
        })
    }
}

/// The connection or the tool call that the model was bound to has ended. Every further call would fail alike.
pub(crate) fn gone() -> Error {
    Error::new(
        ErrorKind::Connection,
        "the client whose model was asked is gone",
    )
    .with_should_retry(Some(false))
    .stopping_the_run()
}
