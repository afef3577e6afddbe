//! What is passed through: calls that are no chat, put to a provider as their caller wrote them. They take the same way as
//! all others, so limits, retries, keys and prices hold for them too.
//!
//! Source: wire-formats.md, sections 1 and 4; the OpenAPI description of OpenAI for embeddings.

use std::time::{Duration, SystemTime};

use antiphon_core::{
    Answer, ChatRequest, Error, FinishReason, Spent, Usage,
    chat::{Charge, Delivery, RateLimits},
};
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    Auth, Dialect, EncodeTarget, Encoded, ParsedRequest, ResponseHead, StreamDecoder, anthropic,
    errors, openai,
    wire::{bad_request, not_json, take_model},
};

/// OpenAI's embeddings.
pub(crate) const EMBEDDINGS: Passed = Passed {
    name: "openai-embeddings",
    path: "/embeddings",
    of: &openai::OpenAi,
    only: "embeddings need a model behind OpenAI's wire format",
    charge: Charge::Input,
};

/// Anthropic's counting of tokens.
pub(crate) const COUNT_TOKENS: Passed = Passed {
    name: "anthropic-count-tokens",
    path: "/v1/messages/count_tokens",
    of: &anthropic::Anthropic,
    only: "counting tokens needs a model behind Anthropic's wire format",
    charge: Charge::Nothing,
};

/// A call that is passed through.
#[derive(Debug)]
pub(crate) struct Passed {
    name: &'static str,
    path: &'static str,
    /// The dialect of the providers that take it: keys and limits travel as there.
    of: &'static dyn Dialect,
    /// Why no other provider will do.
    only: &'static str,
    charge: Charge,
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<ToldUsage>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToldUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
}

impl Dialect for Passed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn auth(&self) -> Auth {
        self.of.auth()
    }

    fn encode(&self, request: &ChatRequest, target: &EncodeTarget<'_>) -> Result<Encoded, Error> {
        let fields = request.verbatim(self.name);
        let mut fields = fields.ok_or_else(|| bad_request(self.only))?.clone();
        fields.insert("model".into(), json!(target.model));
        Ok(Encoded {
            path: self.path,
            headers: self.of.headers(target)?,
            body: Bytes::from(serde_json::to_vec(&fields).map_err(not_json)?),
            dropped: Vec::new(),
            streamed: false,
        })
    }

    fn decode_whole(&self, head: &ResponseHead<'_>, body: Bytes) -> Result<Answer, Error> {
        let told: Told<'_> = errors::read_whole(head, &body)?;
        if told.error.is_some_and(|error| error.get() != "null") {
            return Err(errors::classify(head, &body));
        }
        let model = told.model;
        // what counts tokens uses none
        let usage = Usage {
            input_tokens: told
                .usage
                .and_then(|usage| usage.prompt_tokens)
                .unwrap_or(0),
            ..Usage::default()
        };
        Ok(Answer {
            text: String::new(),
            finish_reason: FinishReason::Stop,
            reasoning: None,
            refusal: None,
            tool_calls: Vec::new(),
            model,
            spent: Spent::answer(Some(usage)),
            body,
            latency: Duration::ZERO,
        })
    }

    fn stream_decoder(&self, wanted: Delivery) -> Box<dyn StreamDecoder> {
        self.of.stream_decoder(wanted)
    }

    fn whole_body(&self, answer: &Answer) -> Bytes {
        answer.body.clone()
    }

    fn limits(&self, headers: &HeaderMap, received: SystemTime) -> RateLimits {
        self.of.limits(headers, received)
    }

    fn parse_request(&self, mut wire: Map<String, Value>) -> Result<ParsedRequest, Error> {
        let fields = wire.clone();
        let model = take_model(&mut wire)?;
        let mut request = ChatRequest::prompt(asked(&wire));
        let only = Some(self.only.to_owned());
        request.pass_verbatim(self.name, fields, only, self.charge);
        Ok(ParsedRequest { model, request })
    }
}

/// What the tokens are of, so that they are estimated before the call.
fn asked(fields: &Map<String, Value>) -> String {
    let texts = ["input", "messages", "system", "tools"];
    let asked = texts.iter().filter_map(|name| fields.get(*name));
    asked.map(Value::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embeddings_cost_what_they_read_and_counting_costs_nothing() {
        for (passed, fields, charge) in [
            (
                &EMBEDDINGS,
                json!({"model": "a", "input": "x"}),
                Charge::Input,
            ),
            (
                &COUNT_TOKENS,
                json!({"model": "a", "messages": []}),
                Charge::Nothing,
            ),
        ] {
            let fields = fields.as_object().unwrap().clone();
            let parsed = passed.parse_request(fields.clone()).unwrap();
            assert_eq!(parsed.request.charge(), charge);
            assert_eq!(parsed.request.verbatim(passed.name), Some(&fields));
        }
    }
}
