//! [`Site`]: what a server serves.

use std::sync::Arc;

use antiphon::{Error, fronts::Front};
use axum::{Router, body::Body};
use http::{Method, Response};

use crate::{Gateway, calls::Calls, refusal::refusal};

/// Routes, and what the server must know of them.
pub(crate) trait Site: Clone + Send + Sync + 'static {
    /// The routes.
    fn router(&self) -> Router;

    /// Counts calls: the server bounds them, and waits for them at its end.
    fn calls(&self) -> &Arc<Calls>;

    /// Whether a request counts as a call. All others are answered however much is under way.
    fn is_call(&self, method: &Method, path: &str) -> bool;

    /// The response to a request that the server itself refuses. `front` is its dialect, as far as that can be told.
    fn refusal(&self, error: &Error, front: &'static dyn Front) -> Response<Body>;

    /// No new call is taken any more: what would go on for ever ends now.
    fn close(&self);
}

impl Site for Gateway {
    fn router(&self) -> Router {
        Self::router(self)
    }

    fn calls(&self) -> &Arc<Calls> {
        Self::calls(self)
    }

    /// Whether it asks a model: health, metrics and pages are none.
    fn is_call(&self, method: &Method, path: &str) -> bool {
        method == Method::POST && path.starts_with("/v1/")
    }

    fn refusal(&self, error: &Error, front: &'static dyn Front) -> Response<Body> {
        refusal(error, front, &self.request_id())
    }

    fn close(&self) {
        self.dashboard().close();
    }
}
