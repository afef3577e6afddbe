//! Energy and greenhouse gases, as sums that are judged like tokens and money.
//!
//! They are no function of the tokens of a row: the few tokens of a judge may take more than the many of those it judges.

use antiphon_core::account::{
    Range,
    estimate::{Estimator, Foreseen},
};

use super::foreseen::add;

/// Least and most energy (kWh), then least and most greenhouse gases (kg of CO2 equivalent).
type Ends<T> = [T; 4];

/// What can be told of a row or a call before it is sent: bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImpactsForeseen(Ends<Foreseen>);

impl ImpactsForeseen {
    /// A row without calls.
    pub(super) const fn nothing() -> Self {
        Self([Foreseen::NOTHING; 4])
    }

    /// One call, from the impacts of the shortest answer, the longest, and one that ends at its cap.
    pub(super) fn of_call(low: Both, high: Both, most: Option<Both>) -> Self {
        let (low, high, most) = (ends(low), ends(high), most.map(ends));
        Self(std::array::from_fn(|end| Foreseen {
            told: 0.0,
            low: low[end],
            high: high[end],
            most: most.map(|most| most[end]),
        }))
    }

    /// With so many such calls beside it.
    #[must_use]
    pub(super) fn and(mut self, call: &Self, times: f64) -> Self {
        for (sum, call) in self.0.iter_mut().zip(&call.0) {
            add(sum, call, times);
        }
        self
    }
}

/// Energy and greenhouse gases.
pub(super) type Both = (Range, Range);

fn ends((energy, gwp): Both) -> Ends<f64> {
    [energy.min, energy.max, gwp.min, gwp.max]
}

/// What rows that are done have taken tells what the others will.
#[derive(Debug, Default)]
pub(super) struct ImpactsEstimator {
    ends: Ends<Estimator>,
    /// Rows of which nothing is known.
    unknown: u64,
}

impl ImpactsEstimator {
    /// A row that is done.
    pub(super) fn done(&mut self, took: Both) {
        for (end, took) in self.ends.iter_mut().zip(ends(took)) {
            end.done(0.0, took);
        }
    }

    /// A row to send.
    pub(super) fn ahead(&mut self, row: Option<&ImpactsForeseen>) {
        let Some(row) = row else {
            self.unknown += 1;
            return;
        };
        for (end, foreseen) in self.ends.iter_mut().zip(&row.0) {
            end.ahead(foreseen);
        }
    }

    /// What the rows to send will take; `None` where nothing is known of some.
    pub(super) fn rest(&self) -> Option<Both> {
        if self.unknown > 0 {
            return None;
        }
        let between = |least: &Estimator, most: &Estimator| {
            let (min, max) = (least.rest().low, most.rest().high);
            Range { min, max }
        };
        let [least_energy, most_energy, least_gwp, most_gwp] = &self.ends;
        Some((
            between(least_energy, most_energy),
            between(least_gwp, most_gwp),
        ))
    }
}
