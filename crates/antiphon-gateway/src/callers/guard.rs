//! What is asked before a route is: without keys, whether this machine asks; with keys, for an admin's where it is about
//! the gateway itself.

use std::sync::Arc;

use antiphon::{Error, ErrorKind};
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
};
use http::{HeaderValue, Response, StatusCode, header::WWW_AUTHENTICATE};

use super::{Callers, Pages, local};
use crate::{Gateway, refusal::refusal, routes::front_of};

/// Beginnings of paths behind which each route asks for keys itself, and those that anybody may see.
const OPEN: [&str; 1] = ["/v1/"];
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];
/// Where a browser is asked for the key.
const CHALLENGED: [&str; 2] = ["/", "/metrics"];

/// Lets everything through that is no page of the gateway, and pages for admins; where no keys are used, only what comes
/// from this machine. What is added to the router is guarded unless it is named here.
pub(crate) async fn guard(
    State(gateway): State<Gateway>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let path = request.uri().path();
    if HEALTH.contains(&path) {
        return next.run(request).await;
    }
    let running = gateway.running();
    if !running.needs_keys()
        && let Err(error) = local::check(&request, Pages::Own)
    {
        return refusal(&error, front_of(&request), &gateway.request_id());
    }
    if OPEN.iter().any(|open| path.starts_with(open)) {
        return next.run(request).await;
    }
    if let Err(error) = admin(&running.callers, &request) {
        let front = front_of(&request);
        let mut response = refusal(&error, front, &gateway.request_id());
        if response.status() == StatusCode::UNAUTHORIZED && CHALLENGED.contains(&path) {
            let challenge = HeaderValue::from_static("Basic realm=\"antiphon\", charset=\"UTF-8\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        return response;
    }
    next.run(request).await
}

fn admin(callers: &Callers, request: &Request) -> Result<(), Error> {
    let reader = callers.identify_reader(request.headers())?;
    if reader.is_admin() {
        return Ok(());
    }
    let name = reader.name().map(Arc::as_ref).unwrap_or_default();
    let message =
        format!("the key {name:?} may not see this: it takes one with `admin = true` in [[keys]]");
    Err(Error::new(ErrorKind::Auth, message).with_status(StatusCode::FORBIDDEN.as_u16()))
}
