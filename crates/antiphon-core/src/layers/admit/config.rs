//! What an account is told, and what it tells of itself.

use std::{num::NonZeroU32, time::Duration};

use super::{outage::OutageConfig, quota::QuotaConfig};
use crate::Moment;

/// How calls to an account are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountConfig {
    /// Upper bound of the calls in flight. `None`: up to 256, or 8,192 for callers. Of a job at most 8 go out before the
    /// first success.
    pub concurrency: Option<NonZeroU32>,
    /// Limits per minute that the user names.
    pub quota: QuotaConfig,
    /// The longest `Retry-After` that is obeyed.
    pub max_wait: Duration,
    /// An endpoint that is down for so long is given up, and so are one that is never reached, a wrong key and an empty
    /// account. `None`: never, as a gateway wants it, whose keys may be mended and whose callers come and go.
    pub give_up_after: Option<Duration>,
    /// When the endpoint is down, and what becomes of calls then.
    pub outage: OutageConfig,
    /// Calls come from callers who wait, as many as there are: all may go out at once until the provider says "too
    /// many".
    pub for_callers: bool,
    /// Only permits and quota: whether the endpoint is well is judged by an account further in, whose failures would
    /// otherwise count twice.
    pub quota_only: bool,
}

impl Default for AccountConfig {
    fn default() -> Self {
        Self {
            concurrency: None,
            quota: QuotaConfig::default(),
            max_wait: Duration::from_secs(300),
            give_up_after: Some(Duration::from_secs(300)),
            outage: OutageConfig::default(),
            for_callers: false,
            quota_only: false,
        }
    }
}

impl AccountConfig {
    /// An account whose callers wait, none of them for longer than `max_wait` because of one `Retry-After`.
    pub fn for_callers(max_wait: Duration) -> Self {
        Self {
            max_wait,
            give_up_after: None,
            outage: OutageConfig::for_callers(),
            for_callers: true,
            ..Self::default()
        }
    }
}

/// The state of an account, for progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountSnapshot {
    /// Calls whose permit is out: on the wire, or answered and not yet committed.
    pub in_flight: u32,
    /// Calls that wait for a permit or the quota.
    pub waiting: usize,
    /// Calls that may be in flight now.
    pub limit: u32,
    /// Calls that may ever be in flight.
    pub most: u32,
    /// Nobody is admitted before this moment of the account's clock, because the provider asked for it.
    pub paused_until: Option<Moment>,
    /// Whether the endpoint answers.
    pub endpoint: EndpointState,
    /// Before this moment an endpoint that is down is not asked again.
    pub next_probe: Option<Moment>,
}

/// Whether an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// As far as is known.
    Up,
    /// Nothing but probes is sent.
    Down {
        /// Its first failure, by the account's clock.
        since: Moment,
    },
    /// Nothing is sent any more.
    GivenUp,
}
