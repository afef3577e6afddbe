//! The client's model for the time of one call.

use antiphon_core::{BoxFuture, ChatRequest, ChatResponse, Error, Model, SharedModel};
use tokio_util::sync::CancellationToken;

/// A model whose calls end at once when whoever lent it takes it back. Rows of a job that waited for it stay pending.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) model: SharedModel,
    pub(super) taken_back: CancellationToken,
}

impl Model for Lent {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.model)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let given_up = || Error::stopped("the call that lent its client's model was given up");
            if self.taken_back.is_cancelled() {
                return Err(given_up());
            }
            tokio::select! {
                // an answer that is there already is not thrown away
                biased;
                answered = self.model.call(request) => answered,
                () = self.taken_back.cancelled() => Err(given_up()),
            }
        })
    }
}
