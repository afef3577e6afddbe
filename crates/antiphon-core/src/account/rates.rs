//! [`Rates`]: what a model's answers cost and take, looked up by whoever knows a catalogue.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::{Impacts, Usage, Usd};

/// Tiers of service at the list price; others cost more, or less.
const LIST_PRICE_TIERS: [&str; 4] = ["auto", "default", "standard", "standard_only"];

/// Whether a tier of service (`service_tier` of a request) costs what price lists say. The price of any other is not known.
pub fn is_standard_tier(service_tier: &str) -> bool {
    LIST_PRICE_TIERS.contains(&service_tier)
}

/// An answered attempt, as far as its price depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Billed<'a> {
    /// The model's name as the provider reports it (often dated), where it does.
    pub reported: Option<&'a str>,
    /// The `service_tier` that the request asks for, where it does: others than the usual one have other prices.
    pub service_tier: Option<&'a str>,
    /// Tokens used.
    pub usage: Usage,
    /// Wall time when the request was sent: prices change by date and hour.
    pub sent: SystemTime,
    /// Time on the wire, without waiting and retries.
    pub latency: Duration,
}

/// The most that an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worst {
    /// An upper bound of its input tokens; `None` where there is none but the model's context window (images, files).
    pub input_tokens: Option<u64>,
    /// Its output cap over all its choices.
    pub output_tokens: u64,
    /// Wall time now.
    pub now: SystemTime,
    /// How long the attempt may take: the price may change on the way.
    pub within: Duration,
}

/// Prices and impacts of one target. A pure look-up: it is asked for every attempt.
pub trait Rates: Send + Sync + fmt::Debug {
    /// What the attempt cost; `None` where no price is known.
    fn cost(&self, billed: &Billed<'_>) -> Option<Usd>;

    /// What its computing took; `None` where nothing is known of the model.
    fn impacts(&self, billed: &Billed<'_>) -> Option<Impacts>;

    /// No attempt within these bounds costs more; `None` where no price is known, or no bound.
    fn most(&self, worst: &Worst) -> Option<Usd>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_tiers_with_prices_of_their_own_are_told_apart() {
        for tier in ["auto", "default", "standard", "standard_only"] {
            assert!(is_standard_tier(tier), "{tier}");
        }
        for tier in ["flex", "priority", "batch", ""] {
            assert!(!is_standard_tier(tier), "{tier}");
        }
    }
}
