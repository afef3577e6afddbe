//! Support tickets with known labels, and a model that reads them with errors. Everything follows from the seed, the
//! ticket's number and the sample's.

use antiphon_core::{
    Answer, Body, BoxFuture, ChatRequest, ChatResponse, Error, FinishReason, Head, Model, Usage,
    chat::Content,
};
use fastrand::Rng;
use serde_json::{Value, json};

pub(crate) const CATEGORIES: [&str; 5] = ["billing", "bug", "question", "outage", "praise"];
const TOPICS: [&str; 8] = [
    "api", "cli", "docs", "export", "login", "price", "speed", "web",
];
const COUNTRIES: [&str; 6] = ["BR", "CH", "DE", "IN", "JP", "US"];

/// What is asked of each ticket.
pub(crate) fn schema() -> Value {
    json!({
        "title": "ticket",
        "type": "object",
        "required": ["category", "urgent", "priority", "topics", "customer"],
        "additionalProperties": false,
        "properties": {
            "category": {"enum": CATEGORIES},
            "urgent": {"type": "boolean"},
            "priority": {"type": "integer", "minimum": 0, "maximum": 100},
            "topics": {"type": "array", "uniqueItems": true, "items": {"enum": TOPICS}},
            "customer": {"type": "object", "required": ["country", "seats"], "additionalProperties": false, "properties": {
                "country": {"enum": COUNTRIES},
                "seats": {"type": ["integer", "null"]}
            }}
        }
    })
}

/// The right answer to a ticket.
pub(crate) fn label(ticket: u64) -> Value {
    let mut rng = Rng::with_seed(0x7071_c3e5 ^ ticket.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let topics: Vec<&str> = TOPICS.into_iter().filter(|_| rng.u8(..4) == 0).collect();
    let seats = (rng.u8(..3) > 0).then(|| rng.u16(1..500));
    json!({
        "category": CATEGORIES[rng.usize(..5)],
        "urgent": rng.bool(),
        "priority": rng.u8(..=100),
        "topics": topics,
        "customer": {"country": COUNTRIES[rng.usize(..6)], "seats": seats}
    })
}

/// Reads `ticket N`. Some tickets are harder than others, and a wrong reading of a choice is the same wrong one half of the
/// time: errors of real models go together too, and voting cannot mend those.
#[derive(Debug)]
pub(crate) struct NoisyModel {
    pub(crate) seed: u64,
}

impl NoisyModel {
    fn read(&self, ticket: u64, sample: u32) -> (Value, f64) {
        let of_ticket = self.seed ^ ticket.wrapping_mul(0xd1b5_4a32_d192_ed03);
        let mut hardness = Rng::with_seed(of_ticket);
        let right = 0.6 + 0.35 * hardness.f64();
        let mut rng =
            Rng::with_seed(of_ticket ^ u64::from(sample + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let mut read = label(ticket);
        let mut sure = true;
        for (path, options) in [
            ("/category", &CATEGORIES[..]),
            ("/customer/country", &COUNTRIES),
        ] {
            let usual_mistake = options[hardness.usize(..options.len())];
            if rng.f64() >= right {
                sure &= path != "/category";
                let other = options[rng.usize(..options.len())];
                set(
                    &mut read,
                    path,
                    json!(if rng.bool() { usual_mistake } else { other }),
                );
            }
        }
        if rng.f64() >= right {
            let urgent = read["urgent"] == true;
            set(&mut read, "/urgent", json!(!urgent));
        }
        let priority = read["priority"].as_i64().unwrap_or(0);
        let guess = if rng.f64() < 0.1 {
            rng.i64(0..=100)
        } else {
            priority + rng.i64(-9..=9)
        };
        set(&mut read, "/priority", json!(guess.clamp(0, 100)));
        let said: Vec<&str> = TOPICS
            .into_iter()
            .filter(|topic| {
                let is_true = read["topics"]
                    .as_array()
                    .is_some_and(|all| all.contains(&json!(topic)));
                if is_true {
                    rng.f64() < 0.85
                } else {
                    rng.f64() < 0.06
                }
            })
            .collect();
        set(&mut read, "/topics", json!(said));
        if rng.f64() >= right {
            let seats = if rng.bool() {
                json!(rng.u16(1..500))
            } else {
                Value::Null
            };
            set(&mut read, "/customer/seats", seats);
        }
        let confidence = if sure {
            0.5 + 0.5 * rng.f64()
        } else {
            0.2 + 0.6 * rng.f64()
        };
        (read, confidence)
    }
}

fn set(answer: &mut Value, path: &str, value: Value) {
    if let Some(place) = answer.pointer_mut(path) {
        *place = value;
    }
}

/// The question about a ticket.
pub(crate) fn question(ticket: u64) -> ChatRequest {
    ChatRequest::prompt(format!("ticket {ticket}"))
}

fn ticket_of(request: &ChatRequest) -> u64 {
    let content = request
        .messages
        .last()
        .and_then(|last| last.content.as_ref());
    match content {
        Some(Content::Text(text)) => text.trim_start_matches("ticket ").parse().unwrap_or(0),
        _ => 0,
    }
}

impl Model for NoisyModel {
    fn name(&self) -> &str {
        "sim/noisy"
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        let (read, confidence) = self.read(ticket_of(&request), request.sample);
        let wants_vote = request.schema.is_some_and(|schema| schema.name() == "vote");
        let said = if wants_vote {
            json!({"category": read["category"], "confidence": confidence})
        } else {
            read
        };
        let answer = Answer {
            text: said.to_string(),
            finish_reason: FinishReason::Stop,
            reasoning: None,
            refusal: None,
            tool_calls: Vec::new(),
            model: None,
            spent: antiphon_core::Spent::answer(Some(Usage::default())),
            body: said.to_string().into(),
            latency: std::time::Duration::ZERO,
        };
        let head = Head {
            model: self.name().to_owned(),
            attempts: 1,
            ..Head::default()
        };
        let body = Body::Ready(answer);
        Box::pin(async move { Ok(ChatResponse { head, body }) })
    }
}
