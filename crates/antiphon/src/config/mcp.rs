//! `[mcp]`: what is known of the clients whose model is borrowed.

use std::{
    fmt,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use antiphon_core::layers::queue::OnFailure;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use super::file::duration;

/// The table `[mcp]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct McpSettings {
    /// Calls that a client's model bears at once; 1 where nothing is said.
    pub limit: Option<ClientLimit>,
    /// How long a call of a client's model may take: a person may have to approve it. 10 minutes where nothing is said.
    #[serde(default, deserialize_with = "call_timeout")]
    pub call_timeout: Option<Duration>,
    /// What a failed call of a client's model means for the others; nothing where nothing is said.
    #[serde(default, deserialize_with = "on_failure")]
    pub on_failure: Option<OnFailure>,
    /// Calls that may wait for a client's model; any number where nothing is said.
    pub max_waiting: Option<NonZeroUsize>,
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
        self.on_failure = over.on_failure.or(self.on_failure);
        self.max_waiting = over.max_waiting.or(self.max_waiting);
    }
}

fn call_timeout<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Duration>, D::Error> {
    let timeout = duration(text)?;
    match timeout {
        Some(Duration::ZERO) => Err(D::Error::custom(
            "`mcp.call_timeout`: no call could end in time; write how long one may take, as \"10m\"",
        )),
        timeout => Ok(timeout),
    }
}

fn on_failure<'de, D: Deserializer<'de>>(value: D) -> Result<Option<OnFailure>, D::Error> {
    match String::deserialize(value)?.as_str() {
        "isolate" => Ok(Some(OnFailure::Isolate)),
        "poison" => Ok(Some(OnFailure::Poison)),
        "skip_group" => Ok(Some(OnFailure::SkipGroup)),
        other => Err(D::Error::invalid_value(
            Unexpected::Str(other),
            &"\"isolate\", \"skip_group\" or \"poison\"",
        )),
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
                let wrong = || E::invalid_value(Unexpected::Signed(number), &self);
                limit.map(ClientLimit::Fixed).ok_or_else(wrong)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ClientLimit, E> {
                match text {
                    "auto" => Ok(ClientLimit::Auto),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }
        }

        value.deserialize_any(Limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn said(line: &str) -> String {
        let error = Config::from_toml(&format!("[mcp]\n{line}")).unwrap_err();
        error.to_string()
    }

    #[test]
    fn each_mistake_is_told_with_what_may_stand_there() {
        for (line, words) in [
            ("limit = 0", "a number from 1 on, or \"auto\""),
            ("limit = \"many\"", "a number from 1 on, or \"auto\""),
            (
                "on_failure = \"stop\"",
                "`mcp.on_failure`: invalid value: string \"stop\", expected \"isolate\", \"skip_group\" or \"poison\"",
            ),
            ("max_waiting = 0", "expected a number from 1 on"),
            ("call_timeout = 7", "call_timeout"),
            ("call_timeout = \"0s\"", "write how long one may take"),
            ("max_wait = 7", "max_waiting"),
        ] {
            let told = said(line);
            assert!(told.contains(words), "{line}: {told}");
        }
    }

    #[test]
    fn the_nearer_file_says_what_holds() {
        let settings = |text: &str| Config::from_toml(text).unwrap().settings.mcp;
        let mut merged = settings("[mcp]\nlimit = 4\non_failure = \"poison\"\nmax_waiting = 9");
        merged.merge(settings("[mcp]\nlimit = \"auto\"\nmax_waiting = 10"));
        assert_eq!(merged.limit, Some(ClientLimit::Auto));
        assert_eq!(merged.on_failure, Some(OnFailure::Poison));
        assert_eq!(merged.max_waiting, NonZeroUsize::new(10));
    }
}
