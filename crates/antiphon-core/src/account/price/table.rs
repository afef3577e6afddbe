//! [`PriceTable`]: the prices of one model at one time, by class of token and size of input.

use serde::{Deserialize, Serialize};

use super::{
    super::{Usage, Usd},
    NotPrice, UnitPrice,
};

/// Prices by class of token, as a source tells them: what it does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Input that is neither read from nor written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<UnitPrice>,
    /// Input read from the cache; where it is not told, it costs what other input does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<UnitPrice>,
    /// Input written to the cache with its usual life; where it is not told, it costs what other input does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<UnitPrice>,
    /// Input written to the cache for an hour; where it is not told, it costs what other writing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<UnitPrice>,
    /// Output, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<UnitPrice>,
}

impl Prices {
    /// These, and from `under` what they do not tell.
    #[must_use]
    pub fn over(self, under: Self) -> Self {
        Self {
            input: self.input.or(under.input),
            cached_input: self.cached_input.or(under.cached_input),
            cache_write: self.cache_write.or(under.cache_write),
            cache_write_1h: self.cache_write_1h.or(under.cache_write_1h),
            output: self.output.or(under.output),
        }
    }
}

/// Every class has its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Classes {
    input: UnitPrice,
    cached_input: UnitPrice,
    cache_write: UnitPrice,
    cache_write_1h: UnitPrice,
    output: UnitPrice,
}

impl Classes {
    fn of(told: Prices) -> Result<Self, NotPrice> {
        let missing = |class| NotPrice(format!("the price of {class} is missing"));
        let input = told.input.ok_or_else(|| missing("input"))?;
        let output = told.output.ok_or_else(|| missing("output"))?;
        let cache_write = told.cache_write.unwrap_or(input);
        Ok(Self {
            input,
            cached_input: told.cached_input.unwrap_or(input),
            cache_write,
            cache_write_1h: told.cache_write_1h.unwrap_or(cache_write),
            output,
        })
    }

    fn cost(&self, usage: &Usage) -> Usd {
        // parts are never more than their whole, whatever a server counts
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let written = usage.cache_write_tokens.min(usage.input_tokens - cached);
        let for_an_hour = usage.cache_write_1h_tokens.min(written);
        self.input.of(usage.input_tokens - cached - written)
            + self.cached_input.of(cached)
            + self.cache_write.of(written - for_an_hour)
            + self.cache_write_1h.of(for_an_hour)
            + self.output.of(usage.output_tokens)
    }

    fn most(&self, input: u64, output: u64) -> Usd {
        let dearest = self
            .input
            .max(self.cached_input)
            .max(self.cache_write)
            .max(self.cache_write_1h);
        dearest.of(input) + self.output.of(output)
    }
}

/// Prices of all classes, also for requests with much input.
///
/// Tiers are cliffs: a request whose input exceeds a tier's limit pays the tier's prices for all its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTable {
    base: Classes,
    /// From the lowest limit on.
    tiers: Vec<(u64, Classes)>,
}

impl PriceTable {
    /// A table of prices and of tiers: the limit that the total input exceeds, and the prices from there on. What a tier
    /// does not tell stays as it is in `base`.
    ///
    /// # Errors
    /// The price of input or output is missing, or two tiers have the same limit.
    pub fn new(
        base: Prices,
        tiers: impl IntoIterator<Item = (u64, Prices)>,
    ) -> Result<Self, NotPrice> {
        let tiers = tiers
            .into_iter()
            .map(|(above, prices)| Ok((above, Classes::of(prices.over(base))?)));
        let mut tiers = tiers.collect::<Result<Vec<_>, NotPrice>>()?;
        tiers.sort_by_key(|(above, _)| *above);
        if let Some(two) = tiers.windows(2).find(|two| two[0].0 == two[1].0) {
            let message = format!("two tiers begin above {} tokens", two[0].0);
            return Err(NotPrice(message));
        }
        Ok(Self {
            base: Classes::of(base)?,
            tiers,
        })
    }

    /// What an attempt with these tokens costs.
    pub fn cost(&self, usage: &Usage) -> Usd {
        let mut tiers = self.tiers.iter().rev();
        let tier = tiers.find(|(above, _)| usage.input_tokens > *above);
        tier.map_or(&self.base, |(_, classes)| classes).cost(usage)
    }

    /// No attempt with at most so many tokens costs more, in whichever class and tier they fall.
    pub fn most(&self, input: u64, output: u64) -> Usd {
        let bands = std::iter::once((0, &self.base))
            .chain(self.tiers.iter().map(|(above, classes)| (*above, classes)));
        let ends = self.tiers.iter().map(|(above, _)| *above).chain([u64::MAX]);
        bands
            .zip(ends)
            .filter(|((above, _), _)| *above == 0 || input > *above)
            .map(|((_, classes), end)| classes.most(input.min(end), output))
            .max()
            .unwrap_or_default()
    }

    /// The limit beyond which the last tier begins, where there are tiers.
    pub fn last_limit(&self) -> Option<u64> {
        self.tiers.last().map(|(above, _)| *above)
    }
}
