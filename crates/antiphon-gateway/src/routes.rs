//! Which path leads where.

use antiphon::{Error, ErrorKind, fronts};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::from_fn_with_state,
    routing::{get, post},
};
use http::{HeaderMap, Response};

use crate::{Gateway, call, callers, dashboard, models, observe, refusal::refusal};

/// What is told to those who ask for something else.
const ROUTES: [&str; 9] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/embeddings",
    "/v1/models",
    "/metrics",
    "/healthz",
    "/readyz",
];

impl Gateway {
    /// All routes.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/chat/completions", post(chat_completions))
            .route("/v1/responses", post(responses))
            .route("/v1/messages", post(messages))
            .route("/v1/messages/count_tokens", post(count_tokens))
            .route("/v1/embeddings", post(embeddings))
            .route("/v1/models", get(models::list))
            .route("/v1/models/{*name}", get(models::one))
            .merge(dashboard::routes())
            .route("/metrics", get(observe::scraped))
            .route("/healthz", get(observe::healthy))
            .route("/readyz", get(observe::ready))
            .fallback(nothing_there)
            .method_not_allowed_fallback(not_that_method)
            // behind it, whatever is not named there takes an admin's key where keys are used
            .layer(from_fn_with_state(self.clone(), callers::guard))
            .with_state(self.clone())
    }
}

async fn chat_completions(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    call::answer(gateway, "openai", request).await
}

async fn responses(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    call::answer(gateway, "openai-responses", request).await
}

async fn embeddings(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    call::answer(gateway, "openai-embeddings", request).await
}

async fn count_tokens(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    call::answer(gateway, "anthropic-count-tokens", request).await
}

async fn messages(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    call::answer(gateway, "anthropic", request).await
}

async fn nothing_there(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    let path = request.uri().path();
    let message = format!(
        "nothing is at {path}: the gateway answers {}, and its page is at /",
        ROUTES.join(", ")
    );
    let error = Error::new(ErrorKind::BadRequest, message).with_status(404);
    refusal(&error, front_of(&request), &gateway.request_id())
}

async fn not_that_method(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("{path} cannot be asked with {method}");
    let error = Error::new(ErrorKind::BadRequest, message).with_status(405);
    refusal(&error, front_of(&request), &gateway.request_id())
}

/// The front of a caller whose route does not tell.
pub(crate) fn front_of(request: &Request) -> &'static dyn fronts::Front {
    front_at(request.uri().path(), request.headers())
}

/// The front of a caller by path and headers: Anthropic's clients are known by theirs, all others are taken for OpenAI's.
pub(crate) fn front_at(path: &str, headers: &HeaderMap) -> &'static dyn fronts::Front {
    let is_anthropic =
        path.starts_with("/v1/messages") || headers.contains_key("anthropic-version");
    fronts::front_or_default(if is_anthropic { "anthropic" } else { "openai" })
}
