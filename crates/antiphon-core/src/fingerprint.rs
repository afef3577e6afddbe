//! The identity of a request: a BLAKE3 over canonical bytes.
//!
//! Canonical bytes: a tag and length before every value, object members sorted by name, numbers in the shortest form
//! that reads back equal. Two requests that mean the same have the same bytes, whatever order their fields came in.
//! The form is versioned ([`Fingerprint::VERSION`]); fixtures in the tests hold it still.

use std::fmt;

use serde_json::{Map, Value};

use crate::chat::{ChatRequest, Content, Message};

/// 128 bits of a BLAKE3 hash: at ten million rows the chance of any collision is below 10⁻²⁴.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Version of the canonical form. A change would make every ledger forget what it has paid for.
    pub const VERSION: u32 = 1;

    /// The fingerprint of a request sent to `target` (provider, base URL and resolved model, and the resolved ensemble
    /// where there is one). Sample, delivery, key, headers, limits and time limits are not in it.
    pub fn of(target: &[&str], request: &ChatRequest) -> Self {
        let mut canon = Canon::new();
        canon.count(target.len());
        for part in target {
            canon.text(part);
        }
        canon.count(request.messages.len());
        for message in request.messages.iter() {
            canon.message(message);
        }
        canon.object(&request.params);
        match &request.schema {
            None => canon.tag(b'n'),
            Some(schema) => {
                canon.text(schema.name());
                canon.value(schema.json());
            }
        }
        // a caller's own words say more than was read from them, and an endpoint that understands them sends them
        if let Some((wire, fields)) = request.own_words() {
            canon.tag(b'w');
            canon.text(wire);
            canon.object(fields);
        }
        canon.finish()
    }

    /// The fingerprint of raw bytes, for lines that are not requests.
    pub fn of_bytes(domain: &str, bytes: &[u8]) -> Self {
        let mut canon = Canon::new();
        canon.text(domain);
        canon.bytes(bytes);
        canon.finish()
    }

    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Writes values into the hash without building a string of them first.
struct Canon {
    // small writes are gathered: BLAKE3 pays for each call
    buffer: Vec<u8>,
}

impl Canon {
    fn new() -> Self {
        let mut canon = Self {
            buffer: Vec::with_capacity(1024),
        };
        canon.buffer.extend(Fingerprint::VERSION.to_le_bytes());
        canon
    }

    fn tag(&mut self, tag: u8) {
        self.buffer.push(tag);
    }

    fn count(&mut self, count: usize) {
        self.buffer.extend((count as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.tag(b's');
        self.bytes(text.as_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.tag(b'n'),
            Value::Bool(false) => self.tag(b'f'),
            Value::Bool(true) => self.tag(b't'),
            Value::Number(number) => {
                self.tag(b'd');
                self.bytes(canonical_number(number).as_bytes());
            }
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.tag(b'a');
                self.count(items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(fields) => self.object(fields),
        }
    }

    fn object(&mut self, fields: &Map<String, Value>) {
        self.tag(b'o');
        self.count(fields.len());
        let mut sorted: Vec<_> = fields.iter().collect();
        sorted.sort_unstable_by_key(|(name, _)| name.as_bytes());
        for (name, value) in sorted {
            self.text(name);
            self.value(value);
        }
    }

    fn message(&mut self, message: &Message) {
        let role = serde_json::to_value(&message.role).unwrap_or(Value::Null);
        self.value(&role);
        match &message.content {
            None => self.tag(b'n'),
            Some(Content::Text(text)) => self.text(text),
            Some(Content::Parts(parts)) => {
                self.tag(b'a');
                self.count(parts.len());
                parts.iter().for_each(|part| self.value(part));
            }
        }
        self.object(&message.extra);
    }

    fn finish(self) -> Fingerprint {
        let hash = blake3::hash(&self.buffer);
        let mut short = [0; 16];
        short.copy_from_slice(&hash.as_bytes()[..16]);
        Fingerprint(short)
    }
}

/// `1`, `1.0` and `1e0` are one number.
fn canonical_number(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(0.0) => "0".to_owned(),
        Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(fields: Value) -> ChatRequest {
        let mut request = ChatRequest::prompt("hello");
        let Value::Object(fields) = fields else {
            panic!("an object")
        };
        request.params = std::sync::Arc::new(fields);
        request
    }

    #[test]
    fn order_of_fields_and_spelling_of_numbers_do_not_matter() {
        let a = request(json!({"temperature": 1.0, "seed": 7}));
        let b = request(json!({"seed": 7.0, "temperature": 1}));
        assert_eq!(Fingerprint::of(&["p"], &a), Fingerprint::of(&["p"], &b));
    }

    #[test]
    fn every_part_of_the_request_matters_and_the_sample_does_not() {
        let base = request(json!({"seed": 7}));
        let print = Fingerprint::of(&["openai", "u", "m"], &base);
        assert_ne!(print, Fingerprint::of(&["openai", "u", "n"], &base));
        assert_ne!(print, Fingerprint::of(&["openai", "um"], &base));
        assert_ne!(
            print,
            Fingerprint::of(&["openai", "u", "m"], &request(json!({"seed": 8})))
        );
        let mut other = base.clone();
        other.messages =
            std::sync::Arc::new(vec![Message::text(crate::chat::Role::User, "hello ")]);
        assert_ne!(print, Fingerprint::of(&["openai", "u", "m"], &other));
        let mut sample = base.clone();
        sample.sample = 3;
        assert_eq!(print, Fingerprint::of(&["openai", "u", "m"], &sample));
    }

    #[test]
    fn what_only_the_callers_own_words_say_matters_too() {
        let asked = |fields: Value| {
            let mut request = ChatRequest::prompt("hello");
            let Value::Object(fields) = fields else {
                panic!("an object")
            };
            let messages = std::sync::Arc::clone(&request.messages);
            request.origin = Some(std::sync::Arc::new(crate::chat::Origin {
                wire: "openai-responses",
                body: Some(crate::chat::Verbatim { fields, messages }),
                ..Default::default()
            }));
            request
        };
        let print = |request: &ChatRequest| Fingerprint::of(&["p"], request);
        let (one, two) = (asked(json!({"id": 1})), asked(json!({"id": 2})));
        assert_ne!(print(&one), print(&two));
        assert_eq!(print(&one), print(&asked(json!({"id": 1.0}))));
        // words that somebody has added to since are sent to nobody
        let added = |request: ChatRequest| print(&request.with_system("s"));
        assert_eq!(added(one), added(two));
    }

    /// A release must not forget what an earlier one has paid for. If this fails, the change is wrong.
    #[test]
    fn fixtures_of_version_1_hold() {
        let fixtures = [
            (request(json!({})), "374435fc25457b5eaed7d7bc649d844e"),
            (
                request(json!({"temperature": 0.2, "max_tokens": 64, "stop": ["a", null, true]})),
                "2a26a28f4cf3fe10c354d5f3ec123431",
            ),
        ];
        for (request, expected) in fixtures {
            let target = ["openai", "https://api.openai.com/v1", "gpt-4o-mini"];
            assert_eq!(Fingerprint::of(&target, &request).to_string(), expected);
        }
    }
}
