//! Whole answers as HTTP responses, and the headers of all answers.

use antiphon::{
    Reply, Spent,
    core::chat::Head,
    fronts::{Front, Told},
};
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};

use crate::observe::Watch;

/// The response for a whole answer.
pub(crate) fn whole(reply: &Reply, front: &dyn Front, told: &Told, watch: Watch) -> Response<Body> {
    let mut response = Response::new(Body::from(front.body(reply, told)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    describe(headers, &reply.head, watch.id());
    cost(headers, &reply.spent());
    watch.answered(reply, response.status());
    response
}

/// What the head of an answer tells in headers.
pub(crate) fn describe(headers: &mut HeaderMap, head: &Head, id: &str) {
    put(headers, "x-request-id", id);
    put(headers, "x-antiphon-model", &head.model);
    put(headers, "x-antiphon-attempts", &head.attempts.to_string());
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
