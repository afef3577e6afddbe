//! `GET /healthz` and `/readyz`: for whoever starts gateways and spreads calls over them. Both need no key; which models
//! are down is named to those who may see the gateway's pages, and counted for all others.

use antiphon::{core::layers::admit::EndpointState, session::NamedAccount};
use axum::{
    body::Body,
    extract::{Request, State},
};
use http::{Response, StatusCode};
use serde_json::json;

use crate::{Gateway, models::json_response};

/// Answers as long as the process does.
pub(crate) async fn healthy() -> Response<Body> {
    json_response(&json!({"status": "ok"}))
}

/// Whether calls should be sent here. A model whose endpoint does not answer is told of and does not make the gateway
/// unready: others may answer in its place, and one provider's outage must not take all gateways out of service.
pub(crate) async fn ready(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    let running = gateway.running();
    let down: Vec<String> = running
        .session
        .named_accounts()
        .iter()
        .filter(|named| named.account.snapshot().endpoint != EndpointState::Up)
        .map(
            |NamedAccount {
                 provider, model, ..
             }| format!("{provider}/{model}"),
        )
        .collect();
    let (status, code) = match gateway.is_draining() {
        true => ("draining", StatusCode::SERVICE_UNAVAILABLE),
        false => ("ready", StatusCode::OK),
    };
    let down = match running.callers.may_see_pages(request.headers()) {
        true => json!(down),
        false => json!(down.len()),
    };
    let mut response = json_response(&json!({"status": status, "models_down": down}));
    *response.status_mut() = code;
    response
}
