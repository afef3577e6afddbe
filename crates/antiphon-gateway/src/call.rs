//! The walk of one call: who asks ▸ what ▸ which model ▸ may it ▸ the answer.

use std::{sync::Arc, time::Duration};

use antiphon::{
    ChatRequest, Error, ErrorKind,
    core::chat::{Body as Answering, ChatResponse, Delivery, Origin},
    fronts::{self, Front, ParsedRequest, Told},
    session::{LONGEST_NAME, PerCall, Resolved, Wire},
};
use axum::{body::Body, extract::Request};
use http::{HeaderMap, Response, request::Parts};
use serde_json::Value;

use crate::{
    Gateway, Running, answer, callers::Caller, incoming, models, observe::Watch, refusal::refusal,
    streaming,
};

/// Headers of the caller that go on to the provider. All others end here: what a request says must not decide where it
/// goes or with which key.
const PASSED_ON: [&str; 5] = [
    "anthropic-beta",
    "anthropic-version",
    "openai-organization",
    "openai-project",
    "traceparent",
];

/// Where official clients tell how long they wait for an answer, in seconds.
const TOLD_TIMEOUTS: [&str; 2] = ["x-stainless-read-timeout", "x-stainless-timeout"];

/// Answers one call in this wire format.
pub(crate) async fn answer(
    gateway: Gateway,
    wire: &'static str,
    request: Request,
) -> Response<Body> {
    let front = fronts::front_or_default(wire);
    let (parts, body) = request.into_parts();
    let mut watch = Watch::new(&gateway, wire, &parts.headers);
    watch.came_on(&parts.extensions);
    let running = gateway.running();
    let caller = match running.callers.identify(&parts.headers) {
        Ok(caller) => caller,
        Err(error) => return refused(&error, front, watch),
    };
    watch.identified(caller.name());
    let ending = gateway.calls().ending();
    tokio::pin!(ending);
    let answered = tokio::select! {
        answered = answered(&running, &caller, front, &parts, body, &mut watch) => Some(answered),
        () = &mut ending => None,
    };
    let mut response = match answered {
        Some(Ok(answered)) => answered.into_response(front, watch, ending).await,
        Some(Err(error)) => refused(&error, front, watch),
        None => refused(&watch.stopping(), front, watch),
    };
    caller.tell_limits(wire, response.headers_mut());
    response
}

fn refused(error: &Error, front: &dyn Front, watch: Watch) -> Response<Body> {
    let response = refusal(error, front, watch.id());
    watch.failed(error, response.status());
    response
}

/// A response of a model, and how it is to be told.
struct Answered {
    response: ChatResponse,
    told: Told,
    delivery: Delivery,
}

impl Answered {
    /// `ending` is ready when the gateway waits no longer.
    async fn into_response(
        self,
        front: &'static dyn Front,
        mut watch: Watch,
        ending: impl Future<Output = ()>,
    ) -> Response<Body> {
        let Self {
            response,
            told,
            delivery,
        } = self;
        watch.head(&response.head);
        let response = match (response, delivery) {
            (
                ChatResponse {
                    head,
                    body: Answering::Stream(deltas),
                },
                Delivery::Streamed,
            ) => return streaming::response(head, deltas, front, told, watch),
            (response, _) => response,
        };
        let whole = tokio::select! {
            whole = response.whole() => whole,
            () = ending => Err(watch.stopping()),
        };
        match (whole, delivery) {
            (Ok(reply), Delivery::Whole) => answer::whole(&reply, front, &told, watch),
            (Ok(reply), Delivery::Streamed) => streaming::in_pieces(reply, front, told, watch),
            (Err(error), _) => refused(&error, front, watch),
        }
    }
}

async fn answered(
    running: &Running,
    caller: &Caller,
    front: &'static dyn Front,
    parts: &Parts,
    body: Body,
    watch: &mut Watch,
) -> Result<Answered, Error> {
    let bytes = incoming::read(parts, body).await?;
    let mut fields = incoming::fields(&bytes)?;
    if let Some(Value::String(model)) = fields.get("model") {
        // also told of a request that cannot be read further
        watch.asks_for(model);
    }
    // ours, and never the provider's
    let per_call = fields.shift_remove("antiphon");
    let per_call = per_call.filter(|value| !value.is_null()).map(PerCall::read);
    let per_call = per_call.transpose()?;
    let ParsedRequest { model, request } = front.parse(fields)?;
    let model = model.filter(|model| !model.is_empty()).ok_or_else(|| {
        Error::new(
            ErrorKind::BadRequest,
            "`model` is missing: name one of /v1/models",
        )
    })?;
    watch.asks(&request);
    let begin = &model[..model.floor_char_boundary(LONGEST_NAME)];
    watch.begin(begin, request.delivery);
    check_length(&model)?;
    let named = per_call.iter().flat_map(PerCall::models);
    for name in named.chain([model.as_str()]) {
        let full = || running.session.full_name(name, wire_of(front));
        caller.may_use(name, full)?;
    }
    let resolved = resolve(running, &model, per_call.as_ref(), front)
        .map_err(|error| models::with_nearest(error, &model, running, caller))?;
    check_fits(&request, &resolved, &model)?;
    let delivery = request.delivery;
    let wants_usage = asks_for_usage(&request);
    let mut request = put(request, front, &parts.headers, &resolved);
    if let (Some(traceparent), Some(origin)) = (watch.traceparent(), &mut request.origin) {
        // what is asked for this call is part of its trace, not of the caller's span
        let headers = &mut Arc::make_mut(origin).headers;
        headers.retain(|(name, _)| *name != "traceparent");
        headers.push(("traceparent", traceparent));
    }
    request.deadline = deadline(per_call.as_ref(), &parts.headers, &resolved, delivery)?;
    request.payer = caller.payer()?;
    if let Some(share) = caller.take(&request)? {
        watch.holds(share);
    }
    request.sent = Some(watch.sign());
    let response = resolved.model.call(request).await?;
    let told = Told {
        id: watch.id().to_owned(),
        model: response.head.model.clone(),
        created: watch.arrived(),
        wants_usage,
    };
    Ok(Answered {
        response,
        told,
        delivery,
    })
}

/// Refuses names of models that nobody has: they would go into headers, logs and pages.
fn check_length(model: &str) -> Result<(), Error> {
    if model.len() <= LONGEST_NAME {
        return Ok(());
    }
    let message = format!(
        "`model` is a name of {} bytes; names of models have {LONGEST_NAME} at most: name one of /v1/models",
        model.len()
    );
    Err(Error::new(ErrorKind::BadRequest, message))
}

/// The wire format whose provider a model name without one means.
fn wire_of(front: &dyn Front) -> Wire {
    match front.name() {
        name if name.starts_with("anthropic") => Wire::Anthropic,
        _ => Wire::OpenAi,
    }
}

fn resolve(
    running: &Running,
    model: &str,
    per_call: Option<&PerCall>,
    front: &dyn Front,
) -> Result<Arc<Resolved>, Error> {
    let wire = wire_of(front);
    let resolved = match per_call {
        None => running.session.resolve(model, wire),
        Some(per_call) => running.session.resolve_for(model, wire, per_call),
    };
    resolved.map_err(|error| {
        // a provider without a key is none that can be asked: the caller's own key is another matter
        match error.kind() {
            ErrorKind::Auth => {
                let message = format!("no model is called {model:?}: {}", error.message());
                Error::new(ErrorKind::ModelNotFound, message)
            }
            _ => error,
        }
    })
}

/// Refuses what a model made of several cannot be asked: words that are for one provider alone, and several answers where it
/// decides on one.
fn check_fits(request: &ChatRequest, resolved: &Resolved, model: &str) -> Result<(), Error> {
    if !resolved.is_made_of_parts {
        return Ok(());
    }
    let number = request.params.get("n").and_then(Value::as_u64);
    let message = match (request.only_verbatim(), number) {
        (Some(why), _) => format!("{why}; {model} is made of several models"),
        (None, Some(2..)) => format!(
            "{model} decides on one answer: leave out `n` (`antiphon.num_processors` is how many it decides on)"
        ),
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::BadRequest, message))
}

/// The request as it is put to the model.
fn put(
    mut request: ChatRequest,
    front: &dyn Front,
    headers: &HeaderMap,
    resolved: &Resolved,
) -> ChatRequest {
    let passed = PASSED_ON.iter().filter_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some((*name, value.to_owned()))
    });
    let mut origin = request
        .origin
        .take()
        .map_or_else(Origin::default, Arc::unwrap_or_clone);
    origin.wire = front.name();
    origin.headers = passed.collect();
    request.origin = Some(Arc::new(origin));
    // callers judge the answers of plain models themselves, as they do without a gateway
    request.is_unjudged = !resolved.is_made_of_parts;
    resolved.lay_params(&mut request);
    request
}

/// The longest that the caller waits: what it says, else the time limit that official clients tell with each request. That
/// one is of a silence, so it bounds whole answers only. An ensemble decides at its deadline with what it has.
fn deadline(
    per_call: Option<&PerCall>,
    headers: &HeaderMap,
    resolved: &Resolved,
    delivery: Delivery,
) -> Result<Option<Duration>, Error> {
    if let Some(deadline) = per_call.map(PerCall::deadline).transpose()?.flatten() {
        return Ok(Some(deadline).filter(|_| !resolved.decides_by_deadline));
    }
    if delivery == Delivery::Streamed {
        return Ok(None);
    }
    let mut told = TOLD_TIMEOUTS.iter().filter_map(|name| headers.get(*name));
    let told = told.find_map(|value| value.to_str().ok()?.parse::<f64>().ok());
    let told = told.filter(|seconds| *seconds > 0.0);
    Ok(told.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}

/// Whether the caller of a stream wants usage at its end, in the words of OpenAI's chat completions.
fn asks_for_usage(request: &ChatRequest) -> bool {
    let options = request.params.get("stream_options");
    options.is_some_and(|options| options["include_usage"] == true)
}
