//! `GET /v1/models`: the names that may be asked.

use axum::{
    body::Body,
    extract::{Path, Request, State},
};
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use antiphon::{Error, ErrorKind, nearest};

use crate::{Gateway, Running, callers::Caller, refusal::refusal, routes::front_of};

/// Names that are told where one stands for nothing.
const MOST_NAMES: usize = 3;

/// The list of models, in the caller's dialect.
pub(crate) async fn list(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    let running = gateway.running();
    let front = front_of(&request);
    let caller = match running.callers.identify(request.headers()) {
        Ok(caller) => caller,
        Err(error) => return refusal(&error, front, &gateway.request_id()),
    };
    let names = running.session.model_names();
    let allowed = names.iter().filter(|name| may_use(&caller, name));
    let is_anthropic = front.name() == "anthropic";
    let models: Vec<Value> = allowed.map(|name| entry(name, is_anthropic)).collect();
    json_response(&match is_anthropic {
        false => json!({"object": "list", "data": models}),
        true => json!({
            "data": models,
            "has_more": false,
            "first_id": models.first().map(|model| &model["id"]),
            "last_id": models.last().map(|model| &model["id"]),
        }),
    })
}

/// One model.
pub(crate) async fn one(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    let running = gateway.running();
    let front = front_of(&request);
    let found = running
        .callers
        .identify(request.headers())
        .and_then(|caller| {
            let names = running.session.model_names();
            let known = names.contains(&name) && may_use(&caller, &name);
            match known {
                true => Ok(json_response(&entry(&name, front.name() == "anthropic"))),
                false => {
                    let message = format!("no model is called {name:?}");
                    let error = Error::new(ErrorKind::ModelNotFound, message);
                    Err(with_nearest(error, &name, &running, &caller))
                }
            }
        });
    found.unwrap_or_else(|error| refusal(&error, front, &gateway.request_id()))
}

/// Adds the names that may have been meant to the error for one that stands for nothing. A caller reads only of models
/// that it may use.
pub(crate) fn with_nearest(error: Error, name: &str, running: &Running, caller: &Caller) -> Error {
    let message = error.message();
    if error.kind() != ErrorKind::ModelNotFound || message.contains("did you mean") {
        return error;
    }
    // what follows is about flags, which callers of a gateway do not have
    let message = message
        .split_once("; known are")
        .map_or(message, |(what, _)| what);
    let names = running.session.model_names();
    let allowed = names.iter().filter(|name| may_use(caller, name));
    let mut candidates: Vec<&str> = allowed.map(String::as_str).collect();
    let mut near = Vec::new();
    while near.len() < MOST_NAMES
        && let Some(found) = nearest(name, candidates.iter().copied())
    {
        near.push(format!("{found:?}"));
        candidates.retain(|candidate| *candidate != found);
    }
    let hint = match near.is_empty() {
        true => "GET /v1/models lists those there are".to_owned(),
        false => format!("did you mean {}?", near.join(" or ")),
    };
    Error::new(ErrorKind::ModelNotFound, format!("{message}; {hint}"))
}

/// Names of the list are whole already.
fn may_use(caller: &Caller, name: &str) -> bool {
    caller.may_use(name, || name.to_owned()).is_ok()
}

/// A model as the list has it. Nobody knows when a configured name was made, so all are of the same moment.
fn entry(name: &str, is_anthropic: bool) -> Value {
    match is_anthropic {
        false => json!({"id": name, "object": "model", "created": 0, "owned_by": "antiphon"}),
        true => {
            json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"})
        }
    }
}

/// A value as a response.
pub(crate) fn json_response(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
