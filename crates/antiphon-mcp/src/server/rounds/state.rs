//! What a client carries from one round of a call to the next: the answers so far, sealed.
//!
//! The seal is a keyed digest (HMAC-SHA256, by the official library) with a key that the process makes up and nobody else
//! knows, so what is carried can be read by the client, whose own answers it holds, and not changed. It is good for one call
//! of one caller and for a time, and ends with the process.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use antiphon_core::{Clock, Error, ErrorKind, Moment};
use rmcp::model::{Implementation, JsonObject, RequestStateCodec, RequestStateError, SealOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest that is carried, in bytes as it travels: a third more than the answers.
const LONGEST: usize = 8 << 20;
/// How long a client may take for a round, at least: people may be asked for each of its calls.
const SHORTEST_LIFE: Duration = Duration::from_secs(3600);
/// What a client has beyond the longest call, for the way there and back.
const LEEWAY: Duration = Duration::from_secs(600);

/// What is carried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Carried {
    /// The responses of all earlier rounds, by the keys of their calls.
    pub(super) answers: BTreeMap<String, Value>,
    /// The keys of the round that is asked, with how often each has been asked.
    pub(super) asked: BTreeMap<String, u32>,
}

/// [`Carried`], and when it is too old: milliseconds of this process's clock.
#[derive(Serialize, Deserialize)]
struct Dated {
    until: u64,
    carried: Carried,
}

/// Seals what is carried.
#[derive(Debug)]
pub(in crate::server) struct Seal {
    /// None where the operating system gives no random bytes.
    codec: Option<RequestStateCodec>,
    clock: Arc<dyn Clock>,
    life: Duration,
}

/// The call and the caller that a state is good for. It is not in the state.
pub(super) struct Binding(Vec<u8>);

impl fmt::Debug for Binding {
    /// It may hold a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding")
    }
}

/// Why a state is refused: for the log, not for the caller.
#[derive(Debug)]
pub(super) enum NotOurs {
    TooLong,
    TooOld,
    NoKey,
    Codec(RequestStateError),
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than any that was given ({LONGEST} bytes)"),
            Self::TooOld => f.write_str("too old"),
            Self::NoKey => f.write_str("there is no key"),
            Self::Codec(error) => error.fmt(f),
        }
    }
}

impl Binding {
    /// Binds to the tool and its arguments, to the client's name and version, and to who the caller is beyond that.
    pub(super) fn of(
        tool: &str,
        arguments: Option<&JsonObject>,
        client: Option<&Implementation>,
        caller: &[u8],
    ) -> Self {
        let mut arguments = Value::Object(arguments.cloned().unwrap_or_default());
        // the same arguments may come in another order
        arguments.sort_all_objects();
        let client = client.map(|client| [&client.name, &client.version]);
        Self(
            json!(["tools/call", tool, arguments, client, caller])
                .to_string()
                .into_bytes(),
        )
    }
}

impl Seal {
    /// With a key of its own. What it seals lasts for an hour, or longer where a call may take longer.
    pub(in crate::server) fn new(clock: Arc<dyn Clock>, call_timeout: Duration) -> Self {
        let mut key = [0; RequestStateCodec::MIN_KEY_LENGTH];
        let filled = aws_lc_rs::rand::fill(&mut key);
        Self {
            codec: filled
                .ok()
                .and_then(|()| RequestStateCodec::try_new(key).ok()),
            clock,
            life: SHORTEST_LIFE.max(call_timeout.saturating_add(LEEWAY)),
        }
    }

    /// Seals what is to be carried for one call of one caller.
    ///
    /// # Errors
    /// It is more than a client can carry.
    pub(super) fn seal(&self, carried: Carried, binding: &Binding) -> Result<String, Error> {
        let codec = self.codec.as_ref().ok_or_else(|| {
            let message = "the operating system gives no random bytes, so that no round of a call can be sealed; name a model \
                           of the configuration with `model`";
            Error::new(ErrorKind::ServerError, message).with_should_retry(Some(false))
        })?;
        let until = millis(self.clock.now() + self.life);
        let dated = Dated { until, carried };
        let options = SealOptions::new().associated_data(&binding.0);
        let sealed = codec
            .seal_json_with(&dated, &options)
            .map_err(|error| Error::new(ErrorKind::ServerError, error.to_string()))?;
        if sealed.len() > LONGEST {
            let message = format!(
                "the answers of this call are more than a client can carry from one round to the next ({} MiB): give the tool \
                 less at once, or name a model of the configuration with `model`, which needs no rounds",
                LONGEST >> 20
            );
            return Err(Error::new(ErrorKind::BadRequest, message));
        }
        Ok(sealed)
    }

    /// Opens what a client has carried.
    ///
    /// # Errors
    /// It was not sealed here for this call and caller, or it is too old.
    pub(super) fn open(&self, sealed: &str, binding: &Binding) -> Result<Carried, NotOurs> {
        if sealed.len() > LONGEST {
            return Err(NotOurs::TooLong);
        }
        let codec = self.codec.as_ref().ok_or(NotOurs::NoKey)?;
        let dated: Dated = codec
            .open_json_with(sealed, &binding.0)
            .map_err(NotOurs::Codec)?;
        if millis(self.clock.now()) >= dated.until {
            return Err(NotOurs::TooOld);
        }
        Ok(dated.carried)
    }
}

fn millis(moment: Moment) -> u64 {
    u64::try_from(moment.since_start().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
