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

/// What clients may assume of a tool that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effects {
    /// It may take away what is there.
    pub is_destructive: bool,
    /// The same call again changes nothing more.
    pub is_idempotent: bool,
    /// It talks to others than its own machine, as every tool does that asks a model.
    pub is_open_world: bool,
}

impl Default for Effects {
    /// A tool that asks models, adds to what is there, and adds nothing twice.
    fn default() -> Self {
        Self {
            is_destructive: false,
            is_idempotent: true,
            is_open_world: true,
        }
    }
}

/// A tool.
pub trait Tool: Send + Sync + fmt::Debug {
    /// What clients are told of it.
    fn facts(&self) -> ToolFacts;

    /// What clients may assume of what it does.
    fn effects(&self) -> Effects {
        Effects::default()
    }

    /// Does it. Dropping the future gives it up. In the newer era of the protocol a call is made again from its beginning
    /// once the client's model has answered; what the model said is then at hand. What was asked is known again by its words,
    /// so a tool that puts the time or chance into its prompts never comes to an end there.
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
    /// A use of a tool outside of a server, for tests and for programs that offer tools in another way: with the model that
    /// it may ask, or why there is none. Nobody hears of its progress.
    pub fn with_model(model: Result<SharedModel, Error>) -> Self {
        Self {
            model,
            progress: Progress { told: None },
            cancelled: CancellationToken::new(),
        }
    }

    /// With somebody who hears of its progress: see [`Progress::heard`].
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
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

    /// Is cancelled when the client gives the call up or is gone, and in the newer era of the protocol when it is asked first
    /// and the call begins anew later. The call's future has a few seconds then to end in order, and is dropped.
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
pub struct Step {
    /// Parts that are done.
    pub done: u64,
    /// Parts that there are, where that is known.
    pub total: Option<u64>,
    /// How it stands, in words.
    pub message: Option<String>,
}

impl Progress {
    /// Progress that is told to whoever holds the other end.
    pub fn heard() -> (Self, mpsc::UnboundedReceiver<Step>) {
        let (told, heard) = mpsc::unbounded_channel();
        (Self { told: Some(told) }, heard)
    }

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
