//! What a server offers to its clients.

use std::fmt;

use antiphon_core::{BoxFuture, Error, SharedModel};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What clients are told of a tool.
#[derive(Clone, Debug)]
pub struct ToolFacts {
    /// Its name: `ask`.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it does, when to use it and what it gives, for the model that decides whether to.
    pub description: &'static str,
    /// JSON Schema of its arguments, an object.
    pub input: Map<String, Value>,
    /// JSON Schema of its result, an object.
    pub output: Map<String, Value>,
    /// It changes nothing: no file is written.
    pub is_read_only: bool,
}

/// A tool.
pub trait Tool: Send + Sync + fmt::Debug {
    /// What clients are told of it.
    fn facts(&self) -> ToolFacts;

    /// Does it. Dropping the future gives it up. In the newer era of the protocol a call is made again from its beginning
    /// once the client's model has answered; what the model said is then at hand.
    ///
    /// # Errors
    /// Becomes the tool's result, with its words, for the client's model to read.
    fn call(
        &self,
        arguments: Map<String, Value>,
        call: Call,
    ) -> BoxFuture<'_, Result<Value, Error>>;
}

/// One use of a tool.
#[derive(Debug)]
pub struct Call {
    pub(crate) model: Result<SharedModel, Error>,
    pub(crate) progress: Progress,
    pub(crate) cancelled: CancellationToken,
}

impl Call {
    /// A use of a tool by a program, which lends this model. Nobody hears of its progress.
    pub fn with_model(model: SharedModel) -> Self {
        Self {
            model: Ok(model),
            progress: Progress { told: None },
            cancelled: CancellationToken::new(),
        }
    }

    /// The client's own model, behind the queue that all calls of this client share.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](antiphon_core::ErrorKind::Unsupported): the client lends none; the message names the
    /// capability.
    pub fn client_model(&self) -> Result<SharedModel, Error> {
        self.model.clone()
    }

    /// Where progress is told.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Is cancelled when the client gives the call up or is gone. The call's future is dropped soon after.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }
}

/// Tells a client how far its call is, where it asked for that.
#[derive(Clone, Debug)]
pub struct Progress {
    pub(crate) told: Option<mpsc::UnboundedSender<Step>>,
}

/// What is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
    pub(crate) message: Option<String>,
}

impl Progress {
    /// So many parts of so many are done. What is not more than before is not told.
    pub fn tell(&self, done: u64, total: Option<u64>, message: Option<String>) {
        if let Some(told) = &self.told {
            // a client that is gone hears nothing
            let _gone = told.send(Step {
                done,
                total,
                message,
            });
        }
    }
}
