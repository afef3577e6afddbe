//! Whole answers as HTTP responses, and the headers of all answers.

use antiphon::{
    Reply, Spent,
    core::chat::Head,
    fronts::{Front, Told},
};
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};

use crate::observe::Watch;

/// Tells how often providers were asked for a call.
pub(crate) const ATTEMPTS: &str = "x-antiphon-attempts";

/// The response for a whole answer.
pub(crate) fn whole(reply: &Reply, front: &dyn Front, told: &Told, watch: Watch) -> Response<Body> {
    let mut response = Response::new(Body::from(front.body(reply, told)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    describe(headers, &reply.head, front, watch.id());
    cost(headers, &reply.spent());
    watch.answered(reply, response.status());
    response
}

/// The gateway's id of the request, under the names where clients look for one: Anthropic's read `request-id`.
pub(crate) fn identify(headers: &mut HeaderMap, front: &dyn Front, id: &str) {
    put(headers, "x-request-id", id);
    if front.name().starts_with("anthropic") {
        put(headers, "request-id", id);
    }
}

/// What the head of an answer tells in headers.
pub(crate) fn describe(headers: &mut HeaderMap, head: &Head, front: &dyn Front, id: &str) {
    identify(headers, front, id);
    put(headers, "x-antiphon-model", &head.model);
    put(headers, ATTEMPTS, &head.attempts.to_string());
    let cached = if head.cached { "true" } else { "false" };
    put(headers, "x-antiphon-cached", cached);
    if !head.dropped.is_empty() {
        put(headers, "x-antiphon-dropped", &head.dropped.join(", "));
    }
}

/// What the answer cost, where that is known.
pub(crate) fn cost(headers: &mut HeaderMap, spent: &Spent) {
    if let Some(cost) = spent.cost() {
        put(headers, "x-antiphon-cost-usd", &cost.to_string());
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // names of models may be anything; a header may not
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
