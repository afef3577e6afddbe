//! `[mcp]`: what is known of the clients whose model is borrowed.

use std::{fmt, num::NonZeroU32, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

use super::file::duration;

/// The table `[mcp]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct McpSettings {
    /// Calls that a client's model bears at once; 1 where nothing is said.
    pub limit: Option<ClientLimit>,
    /// How long a call of a client's model may take: a person may have to approve it. 10 minutes where nothing is said.
    #[serde(default, deserialize_with = "duration")]
    pub call_timeout: Option<Duration>,
}

/// How many calls a client's model bears at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientLimit {
    /// So many.
    Fixed(NonZeroU32),
    /// As many as are seen to work: the client is measured.
    Auto,
}

impl McpSettings {
    pub(super) fn merge(&mut self, over: Self) {
        self.limit = over.limit.or(self.limit);
        self.call_timeout = over.call_timeout.or(self.call_timeout);
    }
}

impl<'de> Deserialize<'de> for ClientLimit {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        struct Limit;

        impl Visitor<'_> for Limit {
            type Value = ClientLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 1 on, or \"auto\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<ClientLimit, E> {
                let limit = u32::try_from(number).ok().and_then(NonZeroU32::new);
                let wrong = || E::invalid_value(serde::de::Unexpected::Signed(number), &self);
                limit.map(ClientLimit::Fixed).ok_or_else(wrong)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ClientLimit, E> {
                match text {
                    "auto" => Ok(ClientLimit::Auto),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }

        value.deserialize_any(Limit)
    }
}
