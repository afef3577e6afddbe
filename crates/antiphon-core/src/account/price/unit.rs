//! [`UnitPrice`]: what one token costs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::super::Usd;

/// Tokens that a price is told for.
const MILLION: u64 = 1_000_000;

/// The price of a token: told in dollars per million tokens, kept in whole picodollars per token, so that costs are exact.
///
/// In JSON it is the number of dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitPrice(u64);

impl UnitPrice {
    /// Dollars per million tokens.
    ///
    /// # Errors
    /// The number is negative, not finite, too large, or has more than six decimal places.
    pub fn per_million(dollars: f64) -> Result<Self, NotPrice> {
        if !dollars.is_finite() {
            return Err(NotPrice(format!(
                "{dollars} is no price; write dollars per million tokens, such as 2.5"
            )));
        }
        // its shortest digits are those that were written
        dollars.to_string().parse()
    }

    /// What so many tokens cost.
    #[must_use]
    pub const fn of(self, tokens: u64) -> Usd {
        Usd::from_picos(self.0).times(tokens)
    }

    /// Dollars per million tokens, rounded to what a float holds.
    pub fn dollars_per_million(self) -> f64 {
        self.of(MILLION).as_f64()
    }
}

/// Why something is no price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPrice(pub(super) String);

impl fmt::Display for NotPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotPrice {}

/// Dollars per million tokens: `2.5`, `0.003625`.
impl FromStr for UnitPrice {
    type Err = NotPrice;

    fn from_str(text: &str) -> Result<Self, NotPrice> {
        if text.starts_with('-') {
            return Err(NotPrice(format!("{text} is no price: it is negative")));
        }
        let too_fine = || NotPrice(format!("{text} has more than 6 decimal places"));
        let places = text.split_once('.').map_or("", |(_, places)| places);
        if places.len() > 6 {
            return Err(too_fine());
        }
        let million: Usd = text
            .parse()
            .map_err(|why: super::super::NotUsd| NotPrice(why.to_string()))?;
        Ok(Self(million.picos() / MILLION))
    }
}

/// Dollars per million tokens.
impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.of(MILLION).to_string())
    }
}

impl Serialize for UnitPrice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars_per_million())
    }
}

impl<'de> Deserialize<'de> for UnitPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::per_million(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
