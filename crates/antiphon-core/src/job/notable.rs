//! The rows of a run that took longest and that cost most.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::ledger::{Outcome, PlannedRow};
use crate::{Usage, Usd};

/// Rows that are kept of each kind.
const MOST: usize = 10;

/// A row that stands out. What is unknown is `None`, never 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotableRow {
    /// Position in the input, from 0.
    pub index: u64,
    /// The line's `custom_id`, or `row-N`.
    pub custom_id: String,
    /// The model that answered, or was asked last.
    pub model: Option<String>,
    /// Time on the wire of the answering attempt, milliseconds; `None` for a failure and for an answer at hand.
    pub latency_ms: Option<f64>,
    /// Cost of all attempts, dollars.
    pub cost_usd: Option<Usd>,
    /// Tokens of all attempts.
    pub usage: Option<Usage>,
    /// Attempts on the wire.
    pub attempts: u32,
    /// Code of the error it ended in; `None` for an answer.
    pub error: Option<&'static str>,
}

/// The part of a line's details that an outcome has nowhere else.
#[derive(Deserialize)]
struct Told {
    model: String,
}

impl NotableRow {
    fn of(row: &PlannedRow, outcome: &Outcome) -> Self {
        let told: Option<Told> = serde_json::from_str(&format!("{{{}}}", outcome.details)).ok();
        Self {
            index: row.index,
            custom_id: row.custom_id.clone(),
            model: told
                .map(|told| told.model)
                .filter(|model| !model.is_empty()),
            latency_ms: (outcome.latency_us > 0).then(|| outcome.latency_us as f64 / 1e3),
            cost_usd: outcome.cost,
            usage: outcome.usage.if_any(),
            attempts: outcome.attempts,
            error: outcome.error.map(|kind| kind.code()),
        }
    }
}

/// The rows of a run that stand out, the most outstanding first. Of equal ones the first in the input stand out.
#[derive(Clone, Debug, Default)]
pub struct Notable {
    slowest: Top,
    dearest: Top,
}

impl Notable {
    /// Most rows are not among them: they cost two comparisons.
    pub(super) fn note(&mut self, row: &PlannedRow, outcome: &Outcome) {
        let picos = outcome.cost.unwrap_or_default().picos();
        for (top, value) in [
            (&mut self.slowest, outcome.latency_us),
            (&mut self.dearest, picos),
        ] {
            let rank = (value, Reverse(row.index));
            if top.takes(rank) {
                top.put(rank, NotableRow::of(row, outcome));
            }
        }
    }

    /// Rows whose answer took longest on the wire.
    pub fn slowest(&self) -> Vec<NotableRow> {
        self.slowest.rows()
    }

    /// Rows that cost most, of those whose cost is known.
    pub fn dearest(&self) -> Vec<NotableRow> {
        self.dearest.rows()
    }
}

/// What a row is compared by, then its place in the input.
type Rank = (u64, Reverse<u64>);

/// The largest, in descending order.
#[derive(Clone, Debug, Default)]
struct Top(Vec<(Rank, NotableRow)>);

impl Top {
    fn takes(&self, rank: Rank) -> bool {
        let has_room = self.0.len() < MOST;
        rank.0 > 0 && (has_room || self.0.last().is_some_and(|(least, _)| rank > *least))
    }

    fn put(&mut self, rank: Rank, row: NotableRow) {
        let place = self.0.partition_point(|(other, _)| *other > rank);
        self.0.insert(place, (rank, row));
        self.0.truncate(MOST);
    }

    fn rows(&self) -> Vec<NotableRow> {
        self.0.iter().map(|(_, row)| row.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Fingerprint, FinishReason};

    fn row(index: u64) -> PlannedRow {
        PlannedRow {
            index,
            hash: Default::default(),
            item: 0,
            fingerprint: Fingerprint::of_bytes("row", b""),
            occurrence: 0,
            custom_id: format!("row-{index}"),
            owns_custom_id: false,
            input: None,
            intent: true,
        }
    }

    fn outcome(latency_us: u64, cost: Option<Usd>) -> Outcome {
        Outcome {
            error: None,
            attempts: 1,
            finish: Some(FinishReason::Stop),
            usage: Usage::default(),
            cost,
            latency_us,
            head: String::new(),
            details: r#""model":"sim/demo","text":"a""#.to_owned(),
        }
    }

    #[test]
    fn a_row_is_told_with_what_is_known_of_it() {
        let mut notable = Notable::default();
        notable.note(&row(3), &outcome(1_500, None));
        let slowest = notable.slowest();
        assert_eq!(slowest[0].model.as_deref(), Some("sim/demo"));
        assert_eq!(slowest[0].latency_ms, Some(1.5));
        assert_eq!((slowest[0].cost_usd, slowest[0].usage), (None, None));
        assert_eq!(notable.dearest(), [], "its cost is not known");
        notable.note(&row(4), &outcome(0, Some(Usd::ZERO)));
        assert_eq!(notable.slowest().len(), 1, "an answer at hand took no time");
        assert_eq!(notable.dearest(), [], "and cost nothing");
    }

    proptest! {
        #[test]
        fn the_largest_are_kept_whatever_the_order(values in prop::collection::vec(0..20_u64, 0..60)) {
            let mut notable = Notable::default();
            let mut expected: Vec<(Reverse<u64>, u64)> = Vec::new();
            for (index, value) in (0..).zip(&values) {
                // from the last to the first, too
                let index = if values.len() % 2 == 0 { index } else { 1_000 - index };
                notable.note(&row(index), &outcome(*value, Some(Usd::from_picos(*value))));
                expected.push((Reverse(*value), index));
            }
            expected.retain(|(value, _)| value.0 > 0);
            expected.sort();
            expected.truncate(MOST);
            let expected: Vec<u64> = expected.into_iter().map(|(_, index)| index).collect();
            for kept in [notable.slowest(), notable.dearest()] {
                let kept: Vec<u64> = kept.iter().map(|row| row.index).collect();
                prop_assert_eq!(&kept, &expected);
            }
        }
    }
}
