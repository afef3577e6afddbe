//! [`Sampling`]: the model of a client that is connected.
//!
//! It knows nothing of connections: what is to be sampled goes into an [`Outbox`], and a carrier in the task of the tool
//! call takes it to the client in the way of the client's era.

mod answer;
mod blocks;
mod failure;
mod request;
#[cfg(test)]
mod tests;
mod tools;
mod turns;

use std::time::SystemTime;

use antiphon_core::{
    BoxFuture, ChatRequest, ChatResponse, Error, ErrorKind, Limits, Model,
    chat::{Body, COMPLETION_WIRE, Delivery, Head, deltas_of},
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

pub(crate) use failure::failed;

/// The name of the client's model where nothing better is known.
const CLIENT: &str = "client";

/// What a client has declared of its model, and what its version of the protocol lets it take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// It lends its model.
    pub(crate) sampling: bool,
    /// Its model may be given tools.
    pub(crate) tools: bool,
    /// It knows blocks of audio: since 2025-03-26.
    pub(crate) audio: bool,
    /// A message may hold several blocks: since 2025-11-25. Tools need it, and came with it.
    pub(crate) arrays: bool,
}

impl Capabilities {
    /// What a client has declared that speaks this version of the protocol: its date.
    pub(crate) fn declared(sampling: bool, tools: bool, version: &str) -> Self {
        Self {
            sampling,
            tools,
            audio: version >= "2025-03-26",
            arrays: tools || version >= "2025-11-25",
        }
    }
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
            let message =
                "this client lends no model: it has not declared the capability `sampling`";
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
        CLIENT
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let mapped = request::params_of(&request, self.capabilities);
            let mapped = mapped.map_err(Error::not_sent)?;
            let (answer, answered) = oneshot::channel();
            let asked = Asked {
                params: mapped.params,
                sample: request.sample,
                answer,
            };
            self.outbox.send(asked).map_err(|_| over().not_sent())?;
            let result = answered.await.map_err(|_| over())??;
            let answer = answer::answer_of(&result, mapped.wants_json, SystemTime::now())?;
            let head = Head {
                model: answer.model.clone().unwrap_or_else(|| CLIENT.to_owned()),
                status: 200,
                dropped: mapped.dropped,
                attempts: 1,
                wire: Some(COMPLETION_WIRE.into()),
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

/// The tool call that the model was bound to has ended. The client's other calls go on, so this says nothing of it.
fn over() -> Error {
    Error::stopped("the tool call that asked the client's model has ended")
}

/// The connection to the client has ended: every further call would fail alike.
pub(crate) fn gone() -> Error {
    Error::new(
        ErrorKind::Connection,
        "the client whose model was asked is gone",
    )
    .with_should_retry(Some(false))
    .stopping_the_run()
}

/// A request that the protocol cannot put.
fn bad_request(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, message)
}

fn lacks_tools() -> Error {
    let message = "this client's model takes no tools: it has not declared the capability `sampling.tools`; leave the tools out, \
                   or name a configured model";
    Error::new(ErrorKind::Unsupported, message)
}

/// Parameters that the protocol cannot put, each named once, in the order they were met.
#[derive(Debug, Default)]
struct Dropped(Vec<String>);

impl Dropped {
    fn note(&mut self, name: &str) {
        if !self.0.iter().any(|known| known == name) {
            self.0.push(name.to_owned());
        }
    }

    fn into_names(self) -> Vec<String> {
        self.0
    }
}
