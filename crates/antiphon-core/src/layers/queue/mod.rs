//! [`Queue`]: for a model that cannot bear many calls at once, a line in front of it.
//!
//! Whoever asks the model writes ordinary parallel code and never knows. Whether its calls run side by side or one after
//! the other is decided once, where the model is made.

mod bearing;
mod measured;

use std::{num::NonZeroU32, sync::Arc};

use tokio::sync::Semaphore;

use crate::{BoxFuture, ChatRequest, ChatResponse, Error, Limits, Makeup, Model, SharedModel};

pub use bearing::{Bearing, Ending, Fixed, Turn};
pub use measured::{ClientName, Measured, Reason, Refused, Verdict, Verdicts, WIDEST};

/// The very same model where it bears any number of calls; else the model behind a [`Queue`] of its own.
pub fn queued(model: SharedModel) -> SharedModel {
    match model.limits().concurrency {
        None => model,
        Some(limit) => Queue::new(limit).around(model),
    }
}

/// A line in front of one or several models that share what they can bear: those of one connection, for instance.
#[derive(Debug)]
pub struct Queue {
    limit: NonZeroU32,
    permits: Semaphore,
}

impl Queue {
    /// A line that lets so many calls out at once.
    pub fn new(limit: NonZeroU32) -> Arc<Self> {
        Arc::new(Self {
            limit,
            permits: Semaphore::new(limit.get() as usize),
        })
    }

    /// The model behind this line.
    pub fn around(self: &Arc<Self>, model: SharedModel) -> SharedModel {
        Arc::new(Queued {
            queue: Arc::clone(self),
            model,
        })
    }
}

#[derive(Debug)]
struct Queued {
    queue: Arc<Queue>,
    model: SharedModel,
}

impl Model for Queued {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn limits(&self) -> Limits {
        Limits {
            concurrency: Some(self.queue.limit),
        }
    }

    fn makeup(&self) -> Makeup {
        self.model.makeup()
    }

    fn continues(&self, request: &ChatRequest) -> bool {
        self.model.continues(request)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let _permit = self.queue.permits.acquire().await;
            self.model.call(request).await
        })
    }
}
