//! The last requests as they came: with them a proxy in between can be shown to pass on what it should, and nothing
//! else.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use antiphon_core::Fingerprint;
use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Map, Value, json};

/// Requests that are kept.
const KEPT: usize = 16;
/// Bodies that are longer are not kept.
const MOST_BYTES: usize = 1 << 20;
/// Headers whose values are secrets.
const SECRET: [&str; 3] = ["authorization", "x-api-key", "cookie"];

/// The last requests of one simulated provider, without their keys.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<VecDeque<Heard>>);

#[derive(Debug)]
struct Heard {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Recent {
    /// Keeps a request, and forgets the oldest.
    pub(crate) fn hear(&self, path: String, headers: HeaderMap, body: Bytes) {
        let body = match body.len() {
            0..=MOST_BYTES => body,
            _ => Bytes::new(),
        };
        let mut recent = self.lock();
        recent.truncate(KEPT - 1);
        recent.push_front(Heard {
            path,
            headers,
            body,
        });
    }

    /// All of them, the latest first.
    pub(crate) fn told(&self) -> Value {
        self.lock().iter().map(Heard::told).collect()
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn told(&self) -> Value {
        let mut headers: Map<String, Value> = Map::new();
        for (name, value) in &self.headers {
            let shown = match SECRET.contains(&name.as_str()) {
                // enough to tell one key from another
                true => Fingerprint::of_bytes("sim key", secret(name, value)).to_string(),
                false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
            };
            headers.insert(name.to_string(), shown.into());
        }
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json!({"path": self.path, "headers": headers, "body": body})
    }
}

/// The key itself, so that one key looks the same in either header.
fn secret<'a>(name: &http::HeaderName, value: &'a http::HeaderValue) -> &'a [u8] {
    let value = value.as_bytes();
    match name == header::AUTHORIZATION {
        true => value.strip_prefix(b"Bearer ").unwrap_or(value),
        false => value,
    }
}
