//! [`Model`]: whatever can answer a chat request.

use std::{num::NonZeroU32, pin::Pin, sync::Arc};

use crate::{ChatRequest, ChatResponse, Error, makeup::Makeup};

/// A boxed future, as the object-safe [`Model`] needs it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How many calls a model can bear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Calls in flight at once; `None` is unlimited.
    pub concurrency: Option<NonZeroU32>,
}

/// Anything that can answer a chat request: a remote endpoint, a simulator, a layer around another model.
///
/// There is one door. The response is a head (facts) and a body (whole or streamed); what was reserved for the call
/// lives in the response and is given back when it ends *or is dropped*.
///
/// `&self` and no readiness: limits depend on the request's account and token count, which a `poll_ready` cannot see.
pub trait Model: Send + Sync + std::fmt::Debug {
    /// The name users know it by, `provider/model`.
    fn name(&self) -> &str;

    /// What a layer stands around: it is like that in all that it does not say itself. Other models stand around none.
    fn inner(&self) -> Option<&SharedModel> {
        None
    }

    /// How many calls it can bear at once. Unless said, a layer bears what it stands around does, others any number.
    fn limits(&self) -> Limits {
        self.inner()
            .map_or_else(Limits::default, |inner| inner.limits())
    }

    /// The plain models that answer for it. Unless said, those that a layer stands around; others answer themselves.
    fn makeup(&self) -> Makeup {
        self.inner()
            .map_or_else(|| Makeup::plain(self.name()), |inner| inner.makeup())
    }

    /// Whether the answer to such a request goes on from where its last turn ends, if that turn is the model's own and
    /// begun. Unless said, as what a layer stands around does; others answer anew.
    fn continues(&self, request: &ChatRequest) -> bool {
        self.inner().is_some_and(|inner| inner.continues(request))
    }

    /// Answers one request.
    ///
    /// # Errors
    /// A classified [`Error`]. An error after the head has arrived comes through the body.
    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>>;

    /// The model as one that many callers share: what patterns take, and what a race or an ensemble becomes to be put
    /// into another pattern.
    fn shared(self) -> SharedModel
    where
        Self: Sized + 'static,
    {
        Arc::new(self)
    }
}

/// A model that many callers share.
pub type SharedModel = Arc<dyn Model>;
