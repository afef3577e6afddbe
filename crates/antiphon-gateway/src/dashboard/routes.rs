//! The routes of the page.

use std::time::Duration;

use antiphon::{Error, ErrorKind};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    routing::get,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};

use super::files::FILES;
use crate::{Gateway, refusal::refusal, routes::front_of};

/// What a browser may do with the page: nothing but show it and talk to this server.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Headers of every answer here.
const SAFETY: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The page, its files and its numbers. The files are the same for everybody and tell nothing; the numbers are for those
/// who may look.
pub(crate) fn routes() -> Router<Gateway> {
    let router = Router::new()
        .route("/dashboard/snapshot.json", get(snapshot))
        .route("/dashboard/events", get(events));
    FILES.iter().fold(router, |router, file| {
        let answer = move |headers: HeaderMap| async move { safe(file.response(&headers)) };
        router.route(file.path, get(answer))
    })
}

async fn snapshot(State(gateway): State<Gateway>) -> Response<Body> {
    let running = gateway.running();
    let snapshot = gateway.dashboard().snapshot(&running);
    let json = serde_json::to_vec(&snapshot).unwrap_or_default();
    told("application/json", Body::from(json))
}

async fn events(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    let running = gateway.running();
    match gateway.dashboard().events.watch(&gateway, running) {
        Some(events) => told("text/event-stream; charset=utf-8", events),
        None => {
            let message = "too many look at the dashboard already: close one, or try again later";
            let error = Error::new(ErrorKind::Overloaded, message)
                .with_status(503)
                .with_retry_after(Some(Duration::from_secs(10)));
            refused(&gateway, &request, &error)
        }
    }
}

fn refused(gateway: &Gateway, request: &Request, error: &Error) -> Response<Body> {
    safe(refusal(error, front_of(request), &gateway.request_id()))
}

/// Numbers, which are nobody else's to keep.
fn told(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    safe(response)
}

fn safe(mut response: Response<Body>) -> Response<Body> {
    for (name, value) in &SAFETY {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name.clone(), value);
    }
    response
}
