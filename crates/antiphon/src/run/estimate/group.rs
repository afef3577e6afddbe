//! Rows of one model: what is done, and what is to do.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use antiphon_core::account::{
    Billed, Range, Usage,
    estimate::{Estimate, Estimator},
};
use antiphon_store::PastOutcome;

use super::{foreseen::RowForeseen, impacts::ImpactsEstimator};
use crate::session::{Asked, Target};

/// All rows of one model.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Rows to send.
    pub(super) rows: u64,
    /// Answered rows that the rest is judged by.
    pub(super) judged_by: u64,
    pub(super) unpriced: u64,
    pub(super) unknown_parts: u64,
    pub(super) guessed: u64,
    pub(super) asked: Vec<Asked>,
    input: Estimator,
    output: Estimator,
    cost: Estimator,
    impacts: ImpactsEstimator,
    /// Answers whose time on the wire is known, and its sum in microseconds.
    timed: (u64, f64),
}

/// What the rows to send come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    pub(super) input: Estimate,
    pub(super) output: Estimate,
    /// `None` where a price is not known.
    pub(super) cost: Option<Estimate>,
    pub(super) energy_kwh: Option<Range>,
    pub(super) gwp_kgco2eq: Option<Range>,
}

impl Group {
    /// A row that is done. One whose answer was at hand tells nothing of what calls cost.
    pub(super) fn done(&mut self, row: &RowForeseen, outcome: &PastOutcome) {
        if outcome.attempts == 0 {
            return;
        }
        self.judged_by += 1;
        self.input
            .done(row.input.told, outcome.usage.input_tokens as f64);
        self.output.done(0.0, outcome.usage.output_tokens as f64);
        if let (Some(foreseen), Some(cost)) = (&row.cost, outcome.cost) {
            self.cost.done(foreseen.told, cost.as_f64());
        }
        if let Some(took) = outcome.energy_kwh.zip(outcome.gwp_kgco2eq) {
            self.impacts.done(took);
        }
        if outcome.latency_us > 0 {
            self.timed.0 += 1;
            self.timed.1 += outcome.latency_us as f64;
        }
    }

    /// A row to send.
    pub(super) fn ahead(&mut self, row: &RowForeseen) {
        if self.asked.is_empty() {
            self.asked.clone_from(&row.model.asked);
        }
        self.rows += 1;
        self.unknown_parts += row.unknown_parts;
        self.guessed += u64::from(!row.is_exact);
        self.input.ahead(&row.input);
        self.output.ahead(&row.output);
        self.impacts.ahead(row.impacts.as_ref());
        match &row.cost {
            Some(cost) => self.cost.ahead(cost),
            None => self.unpriced += 1,
        }
    }

    /// Calls of all rows to send, where none is made again.
    pub(super) fn calls(&self) -> u64 {
        self.calls_of_row() * self.rows
    }

    fn calls_of_row(&self) -> u64 {
        self.asked.iter().map(|asked| u64::from(asked.times)).sum()
    }

    /// Rows by which the rest is judged, where they are enough for that.
    pub(super) fn judged(&self) -> u64 {
        match self.output.has_sample() {
            true => self.judged_by,
            false => 0,
        }
    }

    /// Models without a known price.
    pub(super) fn unpriced_models(&self) -> Vec<String> {
        let billed = Billed {
            reported: None,
            service_tier: None,
            usage: Usage::default(),
            sent: SystemTime::now(),
            latency: Duration::ZERO,
        };
        let mut names: Vec<String> = self
            .asked
            .iter()
            .filter(|asked| asked.target.rates.cost(&billed).is_none())
            .map(|asked| asked.target.name.clone())
            .collect();
        names.dedup();
        names
    }

    /// Mean time on the wire of an answer.
    pub(super) fn latency(&self) -> Option<Duration> {
        let (answers, micros) = self.timed;
        (answers > 0).then(|| Duration::from_secs_f64(micros / answers as f64 / 1e6))
    }

    pub(super) fn rest(&self) -> Rest {
        let (energy_kwh, gwp_kgco2eq) = self.impacts.rest().unzip();
        Rest {
            input: self.input.rest(),
            output: self.output.rest(),
            cost: (self.unpriced == 0).then(|| self.cost.rest()),
            energy_kwh,
            gwp_kgco2eq,
        }
    }

    /// The share of the tokens that a model has, by its number of calls, with the model.
    pub(super) fn shares(&self) -> impl Iterator<Item = (&Arc<Target>, f64, u64)> {
        let all = self.calls_of_row().max(1) as f64;
        self.asked.iter().map(move |asked| {
            let times = u64::from(asked.times);
            (&asked.target, times as f64 / all, times * self.rows)
        })
    }
}
