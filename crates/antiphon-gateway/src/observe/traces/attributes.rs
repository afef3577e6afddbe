//! What a span says of its call: the GenAI semantic conventions, and what only this gateway knows under `antiphon.`.
//!
//! The conventions are still in development and have moved to a repository of their own, so their names stand here and
//! not in a crate. <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>

use std::{borrow::Cow, net::SocketAddr};

use opentelemetry::{Array, KeyValue, StringValue, Value, trace::Status};

use crate::observe::{CallEnded, Outcome, short};

const OPERATION: &str = "chat";

const OPERATION_NAME: &str = "gen_ai.operation.name";
const PROVIDER_NAME: &str = "gen_ai.provider.name";
const REQUEST_MODEL: &str = "gen_ai.request.model";
const RESPONSE_MODEL: &str = "gen_ai.response.model";
const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
const CACHE_CREATION_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
const ERROR_TYPE: &str = "error.type";
const STATUS_CODE: &str = "http.response.status_code";
const SERVER_ADDRESS: &str = "server.address";
const SERVER_PORT: &str = "server.port";
const CLIENT_ADDRESS: &str = "client.address";
const REQUEST_ID: &str = "antiphon.request.id";
const UPSTREAM_ID: &str = "antiphon.upstream.request.id";
const WIRE: &str = "antiphon.wire";
const STREAMED: &str = "antiphon.streamed";
const CALLER: &str = "antiphon.caller";
const COST: &str = "antiphon.cost_usd";
const ATTEMPTS: &str = "antiphon.attempts";
const CACHED: &str = "antiphon.cached";
const FIRST_PIECE: &str = "antiphon.time_to_first_piece_ms";

/// Providers that the conventions call by another name.
const PROVIDERS: [(&str, &str); 3] = [
    ("gemini", "gcp.gemini"),
    ("mistral", "mistral_ai"),
    ("xai", "x_ai"),
];

/// The name of the span.
pub(super) fn name(asked: &str) -> Cow<'static, str> {
    match asked {
        "" => Cow::Borrowed(OPERATION),
        _ => Cow::Owned(format!("{OPERATION} {}", short(asked))),
    }
}

/// Whether it went wrong on this side: what a caller did wrong is no error of the server's.
pub(super) fn status(end: &CallEnded) -> Status {
    match end.outcome {
        Outcome::Failed(kind) if end.status >= 500 || end.status < 400 => {
            Status::error(kind.code())
        }
        _ => Status::Unset,
    }
}

/// All that is known of a call.
pub(super) fn of(end: &CallEnded, server: SocketAddr) -> Vec<KeyValue> {
    let call = &end.call;
    let mut all = vec![
        KeyValue::new(OPERATION_NAME, OPERATION),
        KeyValue::new(STATUS_CODE, i64::from(end.status)),
        KeyValue::new(SERVER_ADDRESS, server.ip().to_string()),
        KeyValue::new(SERVER_PORT, i64::from(server.port())),
        KeyValue::new(REQUEST_ID, call.id.to_string()),
        KeyValue::new(WIRE, call.wire),
        KeyValue::new(STREAMED, call.is_streamed),
        KeyValue::new(ATTEMPTS, i64::from(end.attempts)),
        KeyValue::new(CACHED, end.is_cached),
    ];
    let mut tell = |key: &'static str, value: Option<Value>| {
        all.extend(value.map(|value| KeyValue::new(key, value)));
    };
    let text = |text: &str| Some(Value::from(text.to_owned()));
    // the one that answered, else the one that was asked for by name
    let full = end.model.as_deref().or(Some(&*call.asked));
    let split = full.and_then(|model| model.split_once('/'));
    tell(
        PROVIDER_NAME,
        text(split.map_or("antiphon", |(name, _)| provider(name))),
    );
    if !call.asked.is_empty() {
        tell(REQUEST_MODEL, text(short(&call.asked)));
    }
    if let Some(model) = &end.model {
        let own = model.split_once('/').map_or(&**model, |(_, model)| model);
        tell(RESPONSE_MODEL, text(own));
    }
    if let Some(reason) = &end.finish_reason {
        let reasons = vec![StringValue::from(reason.to_string())];
        tell(FINISH_REASONS, Some(Value::Array(Array::String(reasons))));
    }
    match end.outcome {
        Outcome::Answered => {}
        Outcome::Failed(kind) => tell(ERROR_TYPE, Some(kind.code().into())),
        Outcome::HungUp => tell(ERROR_TYPE, Some("hung_up".into())),
    }
    if let Some(usage) = end.spent.usage() {
        let tokens = |count: u64| Some(Value::I64(i64::try_from(count).unwrap_or(i64::MAX)));
        tell(INPUT_TOKENS, tokens(usage.input_tokens));
        tell(OUTPUT_TOKENS, tokens(usage.output_tokens));
        tell(CACHE_READ_TOKENS, tokens(usage.cached_input_tokens));
        tell(CACHE_CREATION_TOKENS, tokens(usage.cache_write_tokens));
        tell(REASONING_TOKENS, tokens(usage.reasoning_tokens));
    }
    tell(COST, end.spent.cost().map(|cost| cost.as_f64().into()));
    let after = end.first_piece.filter(|_| call.is_streamed);
    tell(
        FIRST_PIECE,
        after.map(|after| (after.as_secs_f64() * 1e3).into()),
    );
    tell(UPSTREAM_ID, end.upstream_id.as_deref().and_then(text));
    tell(CALLER, call.caller.as_deref().and_then(text));
    tell(
        CLIENT_ADDRESS,
        call.remote.map(|remote| remote.to_string().into()),
    );
    all
}

fn provider(name: &str) -> &str {
    let other = PROVIDERS.iter().find(|(ours, _)| *ours == name);
    other.map_or_else(|| short(name), |(_, theirs)| theirs)
}
