//! [`Usd`]: money that adds up exactly.

use std::{fmt, iter::Sum, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Picodollars in a dollar.
const PICOS: u64 = 1_000_000_000_000;
/// Digits after the point.
const PLACES: usize = 12;

/// An amount of US dollars in whole picodollars (10⁻¹² USD), from 0 to about 18.4 million dollars.
///
/// Prices are told in dollars per million tokens with at most six places, so the price of one token is a whole number of
/// picodollars, and sums over any number of rows are exact. Sums beyond the largest amount stay at it.
///
/// In JSON it is a number of dollars; amounts of up to 15 digits read back exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(u64::MAX);

    /// So many picodollars.
    pub const fn from_picos(picos: u64) -> Self {
        Self(picos)
    }

    /// Picodollars.
    pub const fn picos(self) -> u64 {
        self.0
    }

    /// The nearest amount to a number of dollars; `None` for a number that is negative, not finite or too large.
    pub fn from_f64(dollars: f64) -> Option<Self> {
        let picos = (dollars * PICOS as f64).round();
        (picos >= 0.0 && picos < u64::MAX as f64).then_some(Self(picos as u64))
    }

    /// Dollars, rounded to what a float holds: for charts and statistics.
    pub fn as_f64(self) -> f64 {
        // read from its digits, so that 0.0000072 is the float nearest to it
        self.to_string().parse().unwrap_or(f64::MAX)
    }

    /// So many times the amount.
    #[must_use]
    pub const fn times(self, number: u64) -> Self {
        Self(self.0.saturating_mul(number))
    }

    /// The next amount that has no more than two digits: `0.0663` becomes `0.067`.
    #[must_use]
    pub fn rounded_up(self) -> Self {
        let places = self.0.checked_ilog10().unwrap_or(0).saturating_sub(1);
        let step = 10u64.pow(places);
        Self(self.0.div_ceil(step).saturating_mul(step))
    }

    /// What is left of it; nothing where more is taken than there is.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::ops::Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, |sum, amount| sum + amount)
    }
}

/// Dollars with all places that are not zero: `0.0000072`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = format!("{:0PLACES$}", self.0 % PICOS);
        let places = places.trim_end_matches('0');
        match places {
            "" => write!(f, "{}", self.0 / PICOS),
            _ => write!(f, "{}.{places}", self.0 / PICOS),
        }
    }
}

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUsd(String);

impl fmt::Display for NotUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotUsd {}

/// Dollars as people write them: `5`, `0.25`, `$1.50`. More than twelve places are not rounded away but refused.
impl FromStr for Usd {
    type Err = NotUsd;

    fn from_str(text: &str) -> Result<Self, NotUsd> {
        let digits = text.trim().trim_start_matches('$');
        let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + places.len() == 0 || !is_number(whole) || !is_number(places) {
            return Err(NotUsd(format!(
                "`{text}` is no amount of dollars, such as 5 or 0.25"
            )));
        }
        if places.len() > PLACES {
            return Err(NotUsd(format!(
                "`{text}` has more than {PLACES} decimal places"
            )));
        }
        let too_much = || NotUsd(format!("`{text}` is more than 18 million dollars"));
        let part = |text: &str| match text {
            "" => Ok(0),
            _ => text.parse::<u64>().map_err(|_| too_much()),
        };
        let picos = part(whole)?.checked_mul(PICOS).ok_or_else(too_much)?;
        let places = part(&format!("{places:0<PLACES$}"))?;
        picos.checked_add(places).map(Self).ok_or_else(too_much)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Self::from_f64(dollars)
            .ok_or_else(|| serde::de::Error::custom(format!("{dollars} is no amount of dollars")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        let picos = |text: &str| text.parse::<Usd>().map(Usd::picos);
        assert_eq!(picos("5"), Ok(5 * PICOS));
        assert_eq!(picos("$0.25"), Ok(PICOS / 4));
        assert_eq!(picos(".0000072"), Ok(7_200_000));
        for bad in [
            "",
            ".",
            "-1",
            "1e3",
            "nan",
            "inf",
            "1,5",
            "0.0000000000001",
            "18446745",
        ] {
            assert!(picos(bad).is_err(), "{bad}");
        }
        assert_eq!(Usd(7_200_000).to_string(), "0.0000072");
        assert_eq!(Usd(3 * PICOS).to_string(), "3");
        assert_eq!(serde_json::to_string(&Usd(7_200_000)).unwrap(), "7.2e-6");
        let up = |text: &str| text.parse::<Usd>().unwrap().rounded_up().to_string();
        assert_eq!(up("0.0663"), "0.067");
        assert_eq!(up("0.067"), "0.067");
        assert_eq!(up("9.95"), "10");
        assert_eq!(up("0"), "0");
        assert_eq!(Usd::from_f64(-0.1), None);
        assert_eq!(Usd::from_f64(f64::NAN), None);
    }

    #[test]
    fn a_million_rows_add_up_exactly() {
        let row: Usd = "0.0000001".parse().unwrap();
        let sum: Usd = std::iter::repeat_n(row, 1_000_000).sum();
        assert_eq!(sum.to_string(), "0.1");
    }

    proptest! {
        #[test]
        fn texts_and_json_of_amounts_read_back(picos in 0..1_000_000_000_000_000u64) {
            let amount = Usd(picos);
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
        }
    }
}
