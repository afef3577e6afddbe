//! The key of an endpoint, taken out of what its provider says.

use std::sync::Arc;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};

/// Shorter keys are the dummies of local servers (`EMPTY`), which may be words of any message.
const SHORTEST: usize = 8;

/// A key that is long enough to be told from a word, if there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Secret(Option<Arc<SecretString>>);

impl Secret {
    pub(super) fn new(key: Option<&SecretString>) -> Self {
        let key = key.map(|key| key.expose_secret().trim());
        let key = key.filter(|key| key.len() >= SHORTEST);
        Self(key.map(|key| Arc::new(SecretString::from(key))))
    }

    /// Providers echo keys, and not all keys look like keys: this one is known.
    pub(super) fn removed_from(&self, body: &Bytes) -> Bytes {
        let key = self.0.as_ref().map(|key| key.expose_secret());
        match (key, std::str::from_utf8(body)) {
            (Some(key), Ok(text)) if text.contains(key) => {
                Bytes::from(text.replace(key, "[redacted]"))
            }
            _ => body.clone(),
        }
    }
}
