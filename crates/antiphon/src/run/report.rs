//! The report of a run, and the numbers that progress shows on the way.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use antiphon_core::{
    Spent, Usage, Usd,
    account::Range,
    job::{Notable, NotableRow, ProgressSnapshot},
    layers::{
        meter::{LatencyBucket, Metrics, MetricsSnapshot},
        spend::BudgetSnapshot,
    },
};
use jiff::Timestamp;
use serde::Serialize;

use super::timeline::{Counted, Recorder, Step};

/// Buckets of the latency histogram at most.
const MOST_BUCKETS: usize = 40;

/// The report of a run as `--report` writes it. What is unknown is `null`, never 0.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Rows of the input, or as many of them as `--limit` allows. While they are read it is judged by the share that was
    /// read; of a stream that was not read to its end it is what was read.
    pub total: u64,
    /// Rows with an answer in the output.
    pub succeeded: u64,
    /// Rows with an error in the output.
    pub failed: u64,
    /// Rows without a line: the next run sends them.
    pub pending: u64,
    /// Rows whose outcome an earlier run had found.
    pub resumed: u64,
    /// Rows that were answered without a call of their own: from the cache, or by the call of an equal row.
    pub cached: u64,
    /// `succeeded` of the rows that have an outcome; 1 where none has.
    pub success_rate: f64,
    /// Duration of this run, seconds.
    pub duration_s: f64,
    /// Rows finished by this run a second.
    pub requests_per_second: f64,
    /// Attempts on the wire in this run.
    pub attempts: u64,
    /// Attempts that were answered with 429.
    pub rate_limited: u64,
    /// Retries of this run by the kind of error before them.
    pub retries_by_kind: BTreeMap<&'static str, u64>,
    /// The most calls in flight at once.
    pub peak_in_flight: u64,
    /// Tokens of this run.
    pub usage: Usage,
    /// Cost of this run in dollars, of the answers whose cost is known; `unpriced_answers` and `lost_attempts` are not in it.
    pub cost_usd: Option<Usd>,
    /// Cost of all runs of the job.
    pub job_cost_usd: Option<Usd>,
    /// The budget of the job.
    pub budget_usd: Option<Usd>,
    /// What is left of it: less all costs of all runs, and less `budget_held_usd`.
    pub budget_left_usd: Option<Usd>,
    /// Worst case of attempts of all runs that may have been billed though nobody knows how they ended, or what they used.
    pub budget_held_usd: Option<Usd>,
    /// Cost that answers at hand have saved.
    pub cost_avoided_usd: Option<Usd>,
    /// Answers whose cost is not known: a model without a price, or an answer that does not tell its tokens.
    pub unpriced_answers: u64,
    /// Attempts that were sent and whose end is not known (timeouts, broken connections): they may have been billed.
    pub lost_attempts: u64,
    /// Energy of this run, kWh.
    pub energy_kwh: Option<Range>,
    /// Greenhouse gases of this run, kg of CO2 equivalent.
    pub gwp_kgco2eq: Option<Range>,
    /// Abiotic resources used by this run, kg of antimony equivalent.
    pub adpe_kgsbeq: Option<Range>,
    /// Primary energy of this run, MJ.
    pub pe_mj: Option<Range>,
    /// Water used by this run, litres.
    pub wcf_l: Option<Range>,
    /// Answers of models whose energy is not known; they are not in these ranges.
    pub unestimated_answers: u64,
    /// The same by the model that was asked.
    pub models: BTreeMap<String, ModelReport>,
    /// Time on the wire of answered attempts.
    pub latency_ms: Latency,
    /// Failed rows by code.
    pub errors_by_code: BTreeMap<&'static str, u64>,
    /// How it went, once it is over; not in the numbers that progress shows on the way.
    #[serde(flatten)]
    pub course: Option<Course>,
}

/// How a run went: its course over time, and what stands out.
#[derive(Clone, Debug, Serialize)]
pub struct Course {
    /// When this run began, UTC.
    pub started_at: Option<String>,
    /// What went on in this run, step by step without gaps; at most 300 steps of about equal length.
    pub timeline: Vec<Step>,
    /// Time on the wire of answered attempts, in at most 40 neighbouring buckets.
    pub latency_histogram_ms: Vec<LatencyBucket>,
    /// The rows of this run whose answer took longest on the wire, at most 10.
    pub slowest_rows: Vec<NotableRow>,
    /// The rows of this run that cost most, at most 10 of those whose cost is known.
    pub dearest_rows: Vec<NotableRow>,
}

/// `2026-11-21T06:33:36Z`; `None` for a clock that is beyond all dates.
fn rfc3339(time: SystemTime) -> Option<String> {
    let time = Timestamp::try_from(time).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

impl Course {
    pub(crate) fn new(
        recorder: &Recorder,
        counted: Counted,
        metrics: &Metrics,
        notable: &Notable,
    ) -> Self {
        Self {
            started_at: rfc3339(recorder.began_at),
            timeline: recorder.close(counted),
            latency_histogram_ms: metrics.latencies(MOST_BUCKETS),
            slowest_rows: notable.slowest(),
            dearest_rows: notable.dearest(),
        }
    }
}

/// What the attempts on one model have used in this run.
#[derive(Clone, Debug, Serialize)]
pub struct ModelReport {
    /// Answered attempts.
    pub answers: u64,
    /// Tokens.
    pub usage: Option<Usage>,
    /// Cost of the answers whose cost is known, dollars.
    pub cost_usd: Option<Usd>,
    /// Answers whose cost is not known.
    pub unpriced_answers: u64,
    /// Energy, kWh.
    pub energy_kwh: Option<Range>,
    /// Greenhouse gases, kg of CO2 equivalent.
    pub gwp_kgco2eq: Option<Range>,
}

impl From<&Spent> for ModelReport {
    fn from(spent: &Spent) -> Self {
        let impacts = spent.known_impacts();
        Self {
            answers: spent.answers(),
            usage: spent.usage(),
            cost_usd: spent.known_cost(),
            unpriced_answers: spent.unpriced(),
            energy_kwh: impacts.map(|impacts| impacts.energy_kwh),
            gwp_kgco2eq: impacts.map(|impacts| impacts.gwp_kgco2eq),
        }
    }
}

/// Latency in milliseconds; `null` where nothing was answered.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

impl Report {
    pub(crate) fn new(
        progress: &ProgressSnapshot,
        metrics: &MetricsSnapshot,
        earlier_runs: Spent,
        budget: Option<BudgetSnapshot>,
        duration: Duration,
    ) -> Self {
        let finished = &progress.finished;
        let expected = progress.expected.unwrap_or(progress.planned);
        let total = expected.max(finished.total());
        let spent = metrics.spent();
        let impacts = spent.known_impacts();
        let seconds = duration.as_secs_f64();
        let of_this_run = finished.total() - finished.resumed.min(finished.total());
        let known = |value: f64| (metrics.successes > 0).then_some((value * 1e3).round() / 1e3);
        Self {
            total,
            succeeded: finished.succeeded,
            failed: finished.failed,
            pending: total - finished.total(),
            resumed: finished.resumed,
            cached: finished.shared,
            success_rate: if finished.total() == 0 {
                1.0
            } else {
                finished.succeeded as f64 / finished.total() as f64
            },
            duration_s: (seconds * 1e3).round() / 1e3,
            requests_per_second: if seconds > 0.0 {
                (of_this_run as f64 / seconds * 1e3).round() / 1e3
            } else {
                0.0
            },
            attempts: metrics.attempts,
            rate_limited: metrics.rate_limited,
            retries_by_kind: metrics
                .retries
                .iter()
                .map(|(kind, count)| (kind.code(), *count))
                .collect(),
            peak_in_flight: metrics.peak_in_flight,
            usage: spent.usage().unwrap_or_default(),
            cost_usd: spent.known_cost(),
            job_cost_usd: (earlier_runs + spent).known_cost(),
            budget_usd: budget.and_then(|budget| budget.cap),
            budget_left_usd: budget.and_then(|budget| budget.left()),
            budget_held_usd: budget.map(|budget| budget.lost + budget.open),
            cost_avoided_usd: finished.avoided.known_cost(),
            unpriced_answers: spent.unpriced(),
            lost_attempts: spent.lost_attempts(),
            energy_kwh: impacts.map(|impacts| impacts.energy_kwh),
            gwp_kgco2eq: impacts.map(|impacts| impacts.gwp_kgco2eq),
            adpe_kgsbeq: impacts.map(|impacts| impacts.adpe_kgsbeq),
            pe_mj: impacts.map(|impacts| impacts.pe_mj),
            wcf_l: impacts.map(|impacts| impacts.wcf_l),
            unestimated_answers: spent.unestimated(),
            models: metrics
                .spent_by_model
                .iter()
                .map(|(model, spent)| (model.clone(), spent.into()))
                .collect(),
            latency_ms: Latency {
                mean: known(metrics.latency.mean_ms),
                p50: known(metrics.latency.p50_ms),
                p90: known(metrics.latency.p90_ms),
                p99: known(metrics.latency.p99_ms),
            },
            errors_by_code: finished
                .errors
                .iter()
                .map(|(kind, count)| (kind.code(), *count))
                .collect(),
            course: None,
        }
    }

    /// The numbers alone, as progress shows them.
    #[must_use]
    pub fn numbers(&self) -> Self {
        Self {
            course: None,
            ..self.clone()
        }
    }
}
