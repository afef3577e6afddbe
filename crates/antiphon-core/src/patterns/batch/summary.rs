//! The numbers of a batch.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::BatchResult;
use crate::{
    Reply, Usage, Usd,
    account::{Impacts, Range},
};

/// Latencies beyond this are counted as this.
const LONGEST: Duration = Duration::from_secs(3600);

/// The numbers of a batch under the names of `antiphon run --report`. What is unknown is `null`, never 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BatchSummary {
    /// Requests.
    pub total: usize,
    /// Requests with an answer.
    pub succeeded: usize,
    /// Requests without one.
    pub failed: usize,
    /// Answers that were at hand: nothing was sent and nothing paid for them.
    pub cached: usize,
    /// `succeeded` of `total`; 1 for no requests.
    pub success_rate: f64,
    /// Seconds that the batch took.
    pub duration_s: f64,
    /// Outcomes a second.
    pub requests_per_second: f64,
    /// Tokens that were paid for.
    pub usage: Usage,
    /// What they cost in US dollars; `None` where that of any is not known.
    pub cost_usd: Option<Usd>,
    /// Energy.
    pub energy_kwh: Option<Range>,
    /// Greenhouse gases.
    pub gwp_kgco2eq: Option<Range>,
    /// Time on the wire of the answers.
    pub latency_ms: LatencySummary,
    /// Failures by code.
    pub errors_by_code: BTreeMap<&'static str, usize>,
}

/// Milliseconds on the wire of the attempts that answered, exact to three digits; waiting for limits is not in them.
/// Answers at hand, and those of a model that measures no latency, do not count. `null` where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LatencySummary {
    /// The mean.
    pub mean: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// Nine of ten are faster.
    pub p90: Option<f64>,
    /// Ninety-nine of a hundred are faster.
    pub p99: Option<f64>,
}

impl BatchSummary {
    pub(super) fn of<A: AsRef<Reply> + Send + Unpin + 'static>(result: &BatchResult<A>) -> Self {
        let replies = || result.successes().map(|(_, answer)| answer.as_ref());
        let mut errors_by_code = BTreeMap::new();
        for (_, error) in result.failures() {
            *errors_by_code.entry(error.kind().code()).or_default() += 1;
        }
        let spent = result.spent();
        let impacts: Option<Impacts> = spent.impacts();
        let measured = replies().filter(|reply| !reply.head.cached);
        Self {
            total: result.outcomes.len(),
            succeeded: result.succeeded(),
            failed: result.failed(),
            cached: replies().filter(|reply| reply.head.cached).count(),
            success_rate: result.success_rate(),
            duration_s: result.duration.as_secs_f64(),
            requests_per_second: result.requests_per_second(),
            usage: spent.usage().unwrap_or_default(),
            cost_usd: spent.cost(),
            energy_kwh: impacts.map(|impacts| impacts.energy_kwh),
            gwp_kgco2eq: impacts.map(|impacts| impacts.gwp_kgco2eq),
            latency_ms: LatencySummary::of(measured.map(|reply| reply.answer.latency)),
            errors_by_code,
        }
    }
}

impl LatencySummary {
    fn of(latencies: impl Iterator<Item = Duration>) -> Self {
        let most = LONGEST.as_micros() as u64;
        let Ok(mut histogram) = Histogram::<u64>::new_with_bounds(1, most, 3) else {
            return Self::default();
        };
        for latency in latencies.filter(|latency| !latency.is_zero()) {
            histogram.saturating_record(latency.min(LONGEST).as_micros().max(1) as u64);
        }
        if histogram.is_empty() {
            return Self::default();
        }
        let quantile = |q| Some(histogram.value_at_quantile(q) as f64 / 1e3);
        Self {
            mean: Some(histogram.mean() / 1e3),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
        }
    }
}
