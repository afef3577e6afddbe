//! What became of some calls.

use std::ops::AddAssign;

use antiphon::{Spent, core::account::Range};
use serde::Serialize;

use crate::observe::{CallEnded, Outcome};

/// Calls that have ended, counted by their outcome, and what they used and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) hung_up: u64,
    pub(super) cached: u64,
    pub(super) attempts: u64,
    pub(super) spent: Spent,
}

impl Counts {
    /// One call has ended.
    pub(super) fn add(&mut self, ended: &CallEnded) {
        match ended.outcome {
            Outcome::Answered => self.answered += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::HungUp => self.hung_up += 1,
        }
        self.cached += u64::from(ended.is_cached);
        self.attempts += u64::from(ended.attempts);
        self.spent += ended.spent;
    }

    /// Calls that have ended, whatever became of them.
    pub(super) fn ended(&self) -> u64 {
        self.answered + self.failed + self.hung_up
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.hung_up += other.hung_up;
        self.cached += other.cached;
        self.attempts += other.attempts;
        self.spent += other.spent;
    }
}

/// [`Counts`] as the page is told of them. What is unknown is `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ToldCounts {
    /// All that have ended.
    calls: u64,
    answered: u64,
    failed: u64,
    hung_up: u64,
    /// Of the answered: from the cache or a call in flight.
    cached: u64,
    attempts: u64,
    #[serde(flatten)]
    used: ToldSpent,
}

/// [`Spent`] as the page is told of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ToldSpent {
    /// Tokens of the answers that told them.
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    /// Dollars, of the answers that have a price.
    cost_usd: Option<f64>,
    /// Answers without a known price.
    unpriced_answers: u64,
    /// Attempts that were sent and never answered: they may have been billed.
    lost_attempts: u64,
    /// Kilograms of CO2 equivalent, of the answers that can be estimated.
    gwp_kgco2eq: Option<Range>,
    unestimated_answers: u64,
}

impl From<Counts> for ToldCounts {
    fn from(counts: Counts) -> Self {
        Self {
            calls: counts.ended(),
            answered: counts.answered,
            failed: counts.failed,
            hung_up: counts.hung_up,
            cached: counts.cached,
            attempts: counts.attempts,
            used: counts.spent.into(),
        }
    }
}

impl From<Spent> for ToldSpent {
    fn from(spent: Spent) -> Self {
        // without an answer nothing was used, and that is known
        let usage = match spent.answers() {
            0 => Some(Default::default()),
            _ => spent.usage(),
        };
        Self {
            input_tokens: usage.map(|usage| usage.input_tokens),
            output_tokens: usage.map(|usage| usage.output_tokens),
            cost_usd: spent.known_cost().map(|cost| cost.as_f64()),
            unpriced_answers: spent.unpriced(),
            lost_attempts: spent.lost_attempts(),
            gwp_kgco2eq: spent.known_impacts().map(|impacts| impacts.gwp_kgco2eq),
            unestimated_answers: spent.unestimated(),
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon::{Usage, Usd};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_unknown_is_null_and_never_0() {
        let told = |spent: Spent| serde_json::to_value(ToldSpent::from(spent)).unwrap();
        let nothing = told(Spent::default());
        assert_eq!(nothing["cost_usd"], json!(0.0));
        assert_eq!(nothing["output_tokens"], json!(0));
        let unknown = told(Spent::answer(None));
        for field in ["cost_usd", "input_tokens", "output_tokens", "gwp_kgco2eq"] {
            assert_eq!(unknown[field], json!(null), "{field}");
        }
        let usage = Usage {
            input_tokens: 3,
            output_tokens: 4,
            ..Usage::default()
        };
        let priced = Spent::answer(Some(usage)).priced(Some(Usd::from_picos(5_000_000)));
        let both = told(priced + Spent::answer(None));
        assert_eq!(both["cost_usd"], json!(0.000_005));
        assert_eq!(both["unpriced_answers"], json!(1));
        assert_eq!(both["input_tokens"], json!(3));
        assert_eq!(told(Spent::lost())["cost_usd"], json!(null));
    }
}
