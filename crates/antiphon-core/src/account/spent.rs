//! [`Spent`]: what attempts used and cost, with what is not known of them.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::{Impacts, Usage, Usd};

/// What the attempts of a call, or of many, have used: tokens, money, and what their computing took.
///
/// It is a sum over attempts that counts beside it how many it knows nothing of, so that what is unknown never passes for 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub struct Spent {
    /// Tokens of the answers that told them.
    #[serde(flatten)]
    tokens: Usage,
    /// Cost of the answers that have a price, in picodollars.
    #[serde(rename = "cost_picos")]
    priced: u64,
    /// Of the answers of models whose computing can be estimated.
    #[serde(skip_serializing_if = "is_none")]
    impacts: Impacts,
    /// Attempts that were answered.
    answers: u64,
    /// Answers that did not tell their tokens.
    untold: u64,
    /// Answers whose cost is not known: no price, or no tokens.
    unpriced: u64,
    /// Answers whose impacts are not known.
    unestimated: u64,
    /// Attempts that were sent and whose end is not known: they may have been billed.
    lost: u64,
}

/// A record, of which older releases kept the tokens only.
#[derive(Deserialize)]
struct Kept {
    #[serde(flatten)]
    tokens: Usage,
    #[serde(default)]
    cost_picos: u64,
    #[serde(default)]
    impacts: Impacts,
    answers: Option<u64>,
    #[serde(default)]
    untold: u64,
    #[serde(default)]
    unpriced: u64,
    #[serde(default)]
    unestimated: u64,
    #[serde(default)]
    lost: u64,
}

fn is_none(impacts: &Impacts) -> bool {
    *impacts == Impacts::default()
}

impl From<Kept> for Spent {
    fn from(kept: Kept) -> Self {
        let Some(answers) = kept.answers else {
            return kept
                .tokens
                .if_any()
                .map_or_else(Self::default, |tokens| Self::answer(Some(tokens)));
        };
        Self {
            tokens: kept.tokens,
            priced: kept.cost_picos,
            impacts: kept.impacts,
            answers,
            untold: kept.untold,
            unpriced: kept.unpriced,
            unestimated: kept.unestimated,
            lost: kept.lost,
        }
    }
}

impl Spent {
    /// An attempt that was answered, not yet priced. `None`: the answer does not tell its tokens.
    pub fn answer(usage: Option<Usage>) -> Self {
        Self {
            tokens: usage.unwrap_or_default(),
            answers: 1,
            untold: u64::from(usage.is_none()),
            unpriced: 1,
            unestimated: 1,
            ..Self::default()
        }
    }

    /// An attempt that was sent and whose end is not known.
    pub fn lost() -> Self {
        Self {
            lost: 1,
            ..Self::default()
        }
    }

    /// The one answer, with what it cost where that is known.
    #[must_use]
    pub fn priced(mut self, cost: Option<Usd>) -> Self {
        self.priced = cost.unwrap_or_default().picos();
        self.unpriced = if cost.is_some() { 0 } else { self.answers };
        self
    }

    /// The one answer, with what its computing took where that is known.
    #[must_use]
    pub fn estimated(mut self, impacts: Option<Impacts>) -> Self {
        self.impacts = impacts.unwrap_or_default();
        self.unestimated = if impacts.is_some() { 0 } else { self.answers };
        self
    }

    /// Tokens of all answers that told them; `None` where nothing is known of any.
    pub fn usage(&self) -> Option<Usage> {
        (self.answers > self.untold).then_some(self.tokens)
    }

    /// Cost of all answers; `None` where that of any is not known, or where there is none and an attempt may have been
    /// billed. Attempts that were refused, and answers at hand, cost nothing.
    pub fn cost(&self) -> Option<Usd> {
        let is_known = self.unpriced == 0 && (self.answers > 0 || self.lost == 0);
        is_known.then_some(Usd::from_picos(self.priced))
    }

    /// Impacts of all answers; `None` where those of any are not known.
    pub fn impacts(&self) -> Option<Impacts> {
        let is_known = self.unestimated == 0 && (self.answers > 0 || self.lost == 0);
        is_known.then_some(self.impacts)
    }

    /// Cost of the answers that have a price; `None` where none has and some answer, or some lost attempt, may have cost
    /// something. With [`Self::unpriced`] and [`Self::lost_attempts`] beside it, it is the total of a report.
    pub fn known_cost(&self) -> Option<Usd> {
        let has_known = self.answers > self.unpriced || self.answers + self.lost == 0;
        has_known.then_some(Usd::from_picos(self.priced))
    }

    /// Impacts of the answers whose models are known, as [`Self::known_cost`].
    pub fn known_impacts(&self) -> Option<Impacts> {
        let has_known = self.answers > self.unestimated || self.answers + self.lost == 0;
        has_known.then_some(self.impacts)
    }

    /// Attempts that were answered.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// Answers whose cost is not known.
    pub fn unpriced(&self) -> u64 {
        self.unpriced
    }

    /// Answers whose impacts are not known.
    pub fn unestimated(&self) -> u64 {
        self.unestimated
    }

    /// Attempts that were sent and whose end is not known: they may have been billed.
    pub fn lost_attempts(&self) -> u64 {
        self.lost
    }

    /// What is in it beside a part that was told before; all of it, where it does not hold that part.
    #[must_use]
    pub fn beyond(self, told: Self) -> Self {
        let counts = |spent: &Self| {
            let tokens = spent.tokens;
            [
                spent.answers,
                spent.untold,
                spent.unpriced,
                spent.unestimated,
                spent.lost,
                spent.priced,
                tokens.input_tokens,
                tokens.output_tokens,
            ]
        };
        let holds = counts(&self)
            .iter()
            .zip(counts(&told))
            .all(|(all, part)| *all >= part);
        if !holds {
            return self;
        }
        Self {
            tokens: self.tokens.beyond(told.tokens),
            priced: self.priced - told.priced,
            impacts: self.impacts.beyond(told.impacts),
            answers: self.answers - told.answers,
            untold: self.untold - told.untold,
            unpriced: self.unpriced - told.unpriced,
            unestimated: self.unestimated - told.unestimated,
            lost: self.lost - told.lost,
        }
    }

    /// The sum of several.
    pub fn sum(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().fold(Self::default(), |mut sum, part| {
            sum += part;
            sum
        })
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.priced = self.priced.saturating_add(other.priced);
        self.impacts += other.impacts;
        self.answers += other.answers;
        self.untold += other.untold;
        self.unpriced += other.unpriced;
        self.unestimated += other.unestimated;
        self.lost += other.lost;
    }
}

impl std::ops::Add for Spent {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(input: u64, output: u64) -> Usage {
        Usage {
            input_tokens: input,
            output_tokens: output,
            ..Usage::default()
        }
    }

    #[test]
    fn what_is_not_known_never_passes_for_nothing() {
        let cost = Usd::from_picos(7);
        let known = Spent::answer(Some(tokens(2, 3))).priced(Some(cost));
        let silent = Spent::answer(None);
        assert_eq!(known.cost(), Some(cost));
        assert_eq!((silent.usage(), silent.cost()), (None, None));
        let both = known + silent;
        assert_eq!(both.usage(), Some(tokens(2, 3)));
        assert_eq!((both.cost(), both.known_cost()), (None, Some(cost)));
        assert_eq!(both.unpriced(), 1);
        assert_eq!(Spent::default().cost(), Some(Usd::ZERO));
        assert_eq!(Spent::lost().cost(), None);
        assert_eq!((known + Spent::lost()).cost(), Some(cost));
    }

    #[test]
    fn a_part_that_was_told_is_taken_out_where_it_is_in() {
        let known = Spent::answer(Some(tokens(2, 3))).priced(Some(Usd::from_picos(7)));
        let all = known + Spent::lost();
        assert_eq!(all.beyond(known), Spent::lost());
        assert_eq!(all.beyond(Spent::default()), all);
        assert_eq!(all.beyond(all), Spent::default());
        assert_eq!(Spent::lost().beyond(known), Spent::lost());
    }

    #[test]
    fn records_of_older_releases_are_read_as_unpriced() {
        let old =
            r#"{"input_tokens":2,"output_tokens":3,"cached_input_tokens":0,"reasoning_tokens":0}"#;
        let read: Spent = serde_json::from_str(old).unwrap();
        assert_eq!(read, Spent::answer(Some(tokens(2, 3))));
        let priced = read.priced(Some(Usd::from_picos(u64::MAX)));
        let json = serde_json::to_string(&priced).unwrap();
        assert_eq!(serde_json::from_str::<Spent>(&json).unwrap(), priced);
    }
}
