//! What is known of one model, in the form of the catalogue's file.

use std::time::SystemTime;

use antiphon_core::account::price::{NotPrice, PriceList, PriceTable, Prices, Timed, When};
use serde::{Deserialize, Serialize};

use super::day::Day;

/// A model of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Antiphon's name of the provider.
    pub provider: String,
    /// The provider's name of the model.
    pub model: String,
    /// Other names of it. Dated snapshots need none.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Tokens that fit into it.
    #[serde(default)]
    pub context_window: Option<u64>,
    /// The day from which on it no longer answers.
    #[serde(default)]
    pub retires: Option<Day>,
    /// Whether its provider advises against it.
    #[serde(default)]
    pub deprecated: bool,
    /// Its prices; the last whose condition holds is in force.
    #[serde(default)]
    pub prices: Vec<TimedPrices>,
    /// Who says so: a source of the catalogue, or the place in a configuration.
    #[serde(default)]
    pub source: String,
    /// The day as of which that is so, where it is told.
    #[serde(default)]
    pub as_of: Option<Day>,
    /// The prices again, for reckoning.
    #[serde(skip)]
    pub list: PriceList,
    /// Whether the user has told a price of it.
    #[serde(skip)]
    pub is_users: bool,
}

/// Prices in dollars per million tokens and when they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedPrices {
    /// From the beginning of this day on, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// Every day from the first until before the second time, `HH:MM` UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<(String, String)>,
    /// Prices by class of token.
    pub usd_per_mtok: Prices,
    /// Prices of requests with more input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// Prices through the provider's batch API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<TieredPrices>,
}

/// Prices of requests whose input exceeds a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The limit, in tokens.
    pub above: u64,
    /// Prices of all tokens of such a request; a class that is not told costs what it does below the limit.
    pub usd_per_mtok: Prices,
}

/// Prices with their tiers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TieredPrices {
    /// Prices by class of token.
    pub usd_per_mtok: Prices,
    /// Prices of requests with more input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

impl Entry {
    /// The prices that are in force at a moment.
    pub fn prices_at(&self, moment: SystemTime) -> Option<&TimedPrices> {
        let timed = self.list.at(moment)?;
        let place = self
            .list
            .0
            .iter()
            .position(|one| std::ptr::eq(one, timed))?;
        self.prices.get(place)
    }

    /// Whether it no longer answers at a moment.
    pub fn is_retired(&self, moment: SystemTime) -> bool {
        self.retires.is_some_and(|day| moment >= day.begin())
    }

    /// Most input that a request can have. A window within which the tiers do not end is no bound: there are ways around it.
    pub(super) fn most_input(&self) -> Option<u64> {
        let beyond = |window: &u64| {
            let mut limits = self.list.0.iter().map(|timed| timed.standard.last_limit());
            limits.all(|limit| limit.is_none_or(|limit| limit < *window))
        };
        self.context_window.filter(beyond)
    }

    /// Makes its prices ready for reckoning.
    ///
    /// # Errors
    /// A price is missing, or a time of day is none.
    pub(super) fn prepare(&mut self) -> Result<(), String> {
        let lists = self.prices.iter().map(TimedPrices::ready);
        self.list = PriceList(lists.collect::<Result<_, _>>()?);
        Ok(())
    }
}

impl TimedPrices {
    /// With these prices in place of its own, in every tier.
    pub(super) fn overridden(&mut self, prices: Prices) {
        self.usd_per_mtok = prices.over(self.usd_per_mtok);
        for tier in &mut self.tiers {
            tier.usd_per_mtok = prices.over(tier.usd_per_mtok);
        }
    }

    fn ready(&self) -> Result<Timed, String> {
        let wrong = |why: NotPrice| why.to_string();
        let minutes = match &self.hours {
            None => None,
            Some((from, to)) if from == to => {
                return Err(format!("prices from {from} to {to} never hold"));
            }
            Some((from, to)) => Some((minute(from)?, minute(to)?)),
        };
        let batch = self.batch.as_ref();
        let batch = batch.map(|batch| table(batch.usd_per_mtok, &batch.tiers));
        Ok(Timed {
            when: When {
                from: self.from.map(Day::begin),
                minutes,
            },
            standard: table(self.usd_per_mtok, &self.tiers).map_err(wrong)?,
            batch: batch.transpose().map_err(wrong)?,
        })
    }
}

fn table(base: Prices, tiers: &[Tier]) -> Result<PriceTable, NotPrice> {
    let tiers = tiers.iter().map(|tier| (tier.above, tier.usd_per_mtok));
    PriceTable::new(base, tiers)
}

/// The minute of the day of `HH:MM`.
fn minute(text: &str) -> Result<u32, String> {
    let two = |text: &str, end: u32| {
        let number = text.parse::<u32>().ok()?;
        (text.len() == 2 && number < end).then_some(number)
    };
    let time = text.split_once(':');
    time.and_then(|(hour, minute)| Some(two(hour, 24)? * 60 + two(minute, 60)?))
        .ok_or_else(|| format!("{text:?} is no time of day; write HH:MM"))
}
