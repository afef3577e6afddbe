//! Which path leads where.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use http::{HeaderMap, Method, Request, Response, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{
    control,
    respond::{Cut, rejected, respond},
};
use crate::{
    Outage, Simulator,
    ask::{Ask, Dialect, Form},
    body::Script,
    rejection::Rejection,
    wire::headers::put,
};

/// The largest request body, as Anthropic has it.
const BODY_LIMIT: usize = 32 << 20;
/// Models that the list names; any other name is answered too.
const MODELS: [&str; 2] = ["small", "large"];

/// The version of Anthropic's API since which nobody samples, and what it refuses.
const UNSAMPLED: &str = "2026-10-21";
const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];

/// What one connection serves.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) simulator: Simulator,
    /// Set to have the connection end with a reset.
    pub(super) reset: Arc<AtomicBool>,
}

impl Service {
    /// Answers one request, or ends the connection.
    pub(super) async fn serve(self, request: Request<Incoming>) -> Result<Response<Script>, Cut> {
        let version = request.version();
        let answer = self.route(request).await;
        // on HTTP/2 the cut ends the stream: a reset of the connection would hit calls that it is not meant for
        if answer.as_ref().err() == Some(&Cut::Reset) && version < Version::HTTP_2 {
            self.reset.store(true, Relaxed);
        }
        answer
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response<Script>, Cut> {
        let path = request.uri().path();
        if let Some(path) = path.strip_prefix("/sim/") {
            let path = path.to_owned();
            return control::serve(&self.simulator, &path, request).await;
        }
        let form = Form::at(path);
        let dialect = match form {
            Some(form) => form.dialect(),
            None if request.headers().contains_key("anthropic-version") => Dialect::Anthropic,
            None => Dialect::OpenAi,
        };
        if let Some(outage) = self.simulator.state().outage {
            self.simulator.ledger().met_outage();
            return match outage {
                Outage::Close => Err(Cut::Close),
                Outage::Unavailable => Ok(self.refuse(dialect, &Rejection::injected(503))),
            };
        }
        let is_known = form.is_some() || path == "/v1/models";
        match (form, request.method()) {
            (Some(form), &Method::POST) => self.chat(form, request).await,
            (None, &Method::GET) if is_known => Ok(self.models(dialect)),
            (_, method) if is_known => {
                let rejection =
                    Rejection::new(405, None, format!("{method} is not allowed on {path}"));
                Ok(self.refuse(dialect, &rejection))
            }
            _ => {
                let known = "/v1/chat/completions, /v1/responses, /v1/embeddings, /v1/messages, /v1/messages/count_tokens, /v1/models and /sim/ledger";
                let message =
                    format!("nothing is at {path}: the simulated provider answers {known}");
                Ok(self.refuse(dialect, &Rejection::new(404, None, message)))
            }
        }
    }

    async fn chat(&self, form: Form, request: Request<Incoming>) -> Result<Response<Script>, Cut> {
        let state = self.simulator.state();
        let dialect = form.dialect();
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let rejection = Rejection::new(413, None, "the request is larger than 32 MiB");
                return Ok(self.turn_away(dialect, &rejection));
            }
            // the caller went away while it was asking
            Err(_) => return Err(Cut::Close),
        };
        let key = key(&head.headers).map(str::to_owned);
        let takes_sampling = takes_sampling(&head.headers);
        let recent = self.simulator.recent();
        recent.hear(head.uri.path().to_owned(), head.headers, body.clone());
        if !lets_in(state.config.keys.as_deref(), key.as_deref()) {
            let rejection =
                Rejection::new(401, Some("invalid_api_key"), "Incorrect API key provided.");
            return Ok(self.turn_away(dialect, &rejection));
        }
        let ask = match Ask::read(form, &body) {
            Ok(ask) => ask,
            Err(rejection) => return Ok(self.turn_away(dialect, &rejection)),
        };
        drop(body);
        let is_sampled = |name: &&&str| ask.fields.contains_key(**name);
        if let Some(name) = SAMPLING.iter().find(is_sampled).filter(|_| !takes_sampling) {
            let message = format!("{name}: not permitted with this version of the API");
            return Ok(self.turn_away(dialect, &Rejection::invalid(message)));
        }
        let key = key.unwrap_or_default();
        let attempt = self.simulator.judge(&ask, &key, &state);
        respond(&self.simulator, form, &ask, attempt).await
    }

    /// Refuses something that was meant as a call, and books it.
    fn turn_away(&self, dialect: Dialect, rejection: &Rejection) -> Response<Script> {
        self.simulator.ledger().rejected();
        self.refuse(dialect, rejection)
    }

    fn refuse(&self, dialect: Dialect, rejection: &Rejection) -> Response<Script> {
        rejected(
            &self.simulator,
            dialect,
            rejection,
            &self.simulator.request_id(),
        )
    }

    fn models(&self, dialect: Dialect) -> Response<Script> {
        let models: Vec<Value> = MODELS
            .iter()
            .map(|id| match dialect {
                Dialect::OpenAi => json!({"id": id, "object": "model", "created": 1_795_000_000, "owned_by": "antiphon-sim"}),
                Dialect::Anthropic => json!({"type": "model", "id": id, "display_name": format!("{id} (simulated)"),
                    "created_at": "2026-11-18T11:06:40Z"}),
            })
            .collect();
        let list = match dialect {
            Dialect::OpenAi => json!({"object": "list", "data": models}),
            Dialect::Anthropic => {
                json!({"data": models, "has_more": false, "first_id": MODELS[0], "last_id": MODELS[1]})
            }
        };
        json_response(&self.simulator, &list)
    }
}

/// A JSON answer outside the chat.
pub(super) fn json_response(
    simulator: &Simulator,
    body: &impl serde::Serialize,
) -> Response<Script> {
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Script::whole(body, simulator.clock()));
    put(
        response.headers_mut(),
        header::CONTENT_TYPE,
        "application/json",
    );
    response
}

fn key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    // when both are sent, Anthropic goes by its own
    text("x-api-key").or_else(|| text("authorization")?.strip_prefix("Bearer "))
}

/// Whether the API's version lets callers say how to sample; dates in this form are in the order of their letters.
fn takes_sampling(headers: &HeaderMap) -> bool {
    let version = headers.get("anthropic-version");
    version.is_none_or(|version| version.as_bytes() < UNSAMPLED.as_bytes())
}

fn lets_in(keys: Option<&[String]>, key: Option<&str>) -> bool {
    match keys {
        _ if key == Some("wrong") => false,
        None => true,
        Some(keys) => key.is_some_and(|key| keys.iter().any(|known| known == key)),
    }
}
