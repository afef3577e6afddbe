//! `[providers.sim]`: the provider that lives in this process.

use std::{num::NonZeroU32, time::Duration};

use antiphon_providers::catalog::zones::{self, Zone};
use antiphon_sim::{Fault, SimConfig};
use serde::{Deserialize, Deserializer, de::Error};

use super::{
    ConfigError, ProviderConfig,
    file::{duration, limit},
};

/// The table as it is written.
#[derive(Deserialize)]
pub(super) struct SimTable {
    #[serde(default, deserialize_with = "faults")]
    fail: Vec<Fault>,
    #[serde(default, deserialize_with = "duration")]
    latency: Option<Duration>,
    jitter: Option<f64>,
    tail: Option<f64>,
    seed: Option<u64>,
    accuracy: Option<f64>,
    #[serde(default, deserialize_with = "limit")]
    rpm: Option<u64>,
    #[serde(default, deserialize_with = "limit")]
    tpm: Option<u64>,
    concurrency: Option<NonZeroU32>,
    #[serde(default, deserialize_with = "zones::deserialize")]
    zone: Option<&'static Zone>,
}

impl From<SimTable> for ProviderConfig {
    fn from(table: SimTable) -> Self {
        Self {
            rpm: table.rpm,
            tpm: table.tpm,
            concurrency: table.concurrency,
            zone: table.zone,
            sim: SimSettings {
                fail: table.fail,
                latency: table.latency,
                jitter: table.jitter,
                tail: table.tail,
                seed: table.seed,
                accuracy: table.accuracy,
            },
            ..Self::default()
        }
    }
}

/// Settings that only `[providers.sim]` has.
#[derive(Clone, Debug, Default)]
pub struct SimSettings {
    /// Faults, `KIND=P` each.
    pub fail: Vec<Fault>,
    /// Mean time to an answer.
    pub latency: Option<Duration>,
    /// Spread of the latency as a share of it.
    pub jitter: Option<f64>,
    /// Share of calls that take ten times as long.
    pub tail: Option<f64>,
    /// Seed of answers and faults.
    pub seed: Option<u64>,
    /// Share of sums that come out right.
    pub accuracy: Option<f64>,
}

impl SimSettings {
    pub(super) fn merge(&mut self, over: Self) {
        if !over.fail.is_empty() {
            self.fail = over.fail;
        }
        self.latency = over.latency.or(self.latency);
        self.jitter = over.jitter.or(self.jitter);
        self.tail = over.tail.or(self.tail);
        self.seed = over.seed.or(self.seed);
        self.accuracy = over.accuracy.or(self.accuracy);
    }

    /// The settings of the simulated provider: what is not set here is as it comes.
    ///
    /// # Errors
    /// A value is out of its range.
    pub fn config(&self) -> Result<SimConfig, ConfigError> {
        let usual = SimConfig::default();
        let config = SimConfig {
            fail: self.fail.clone(),
            latency: self.latency.unwrap_or(usual.latency),
            jitter: self.jitter.unwrap_or(usual.jitter),
            tail: self.tail.unwrap_or(usual.tail),
            seed: self.seed.unwrap_or(usual.seed),
            accuracy: self.accuracy.unwrap_or(usual.accuracy),
            ..usual
        };
        match config.check() {
            Ok(()) => Ok(config),
            Err(error) => Err(ConfigError(format!("providers.sim: {error}"))),
        }
    }
}

fn faults<'de, D: Deserializer<'de>>(texts: D) -> Result<Vec<Fault>, D::Error> {
    Vec::<String>::deserialize(texts)?
        .iter()
        .map(|text| text.parse().map_err(D::Error::custom))
        .collect()
}
