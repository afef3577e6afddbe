//! What the page is told, once a second, as JSON. What is unknown is `null`.

use std::sync::Arc;

use antiphon::{
    core::{
        Clock, Moment,
        layers::{
            admit::{AccountSnapshot, EndpointState, QuotaConfig},
            spend::BudgetSnapshot,
        },
    },
    session::NamedAccount,
};
use serde::Serialize;

use super::{
    counts::{Counts, ToldCounts},
    latencies::{Quantiles, Window},
    latest::{Latest, ToldCall, epoch_ms},
    seconds::{Second, WINDOW, uptime},
    statistics::{CALLS_STEP, COST_STEP, Gathered, LATENCY_STEP},
    tallies::ToldTally,
};
use crate::Running;

/// Endpoints that are told of, the busiest first.
const MOST_ENDPOINTS: usize = 200;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    version: &'static str,
    /// Milliseconds since 1970 UTC.
    at_ms: u64,
    uptime_s: u64,
    in_flight: u64,
    /// Calls a second, over the last ten.
    rate: f64,
    last_minute: u64,
    /// Since the gateway began.
    total: ToldCounts,
    /// Of the last ten minutes, as are the series and the two latencies.
    window: ToldCounts,
    latency_ms: Option<Quantiles>,
    first_token_ms: Option<Quantiles>,
    series: Series,
    errors: Vec<ToldErrors>,
    endpoints: Vec<Endpoint>,
    endpoints_left_out: usize,
    models: Vec<ToldTally>,
    callers: Vec<ToldTally>,
    budgets: Vec<CallerBudget>,
    latest: Vec<ToldCall>,
    failures: Vec<ToldCall>,
}

/// Steps without gaps; the last one is the latest.
#[derive(Debug, Serialize)]
struct Series {
    window_s: u64,
    calls_step_s: u64,
    answered: Vec<u64>,
    /// Failed or hung up.
    failed: Vec<u64>,
    latency_step_s: u64,
    latency_ms: Vec<Option<Quantiles>>,
    first_token_ms: Vec<Option<Quantiles>>,
    cost_step_s: u64,
    /// `null`: calls were answered, and none has a known price.
    cost_usd: Vec<Option<f64>>,
}

/// Calls that failed with this code since the gateway began.
#[derive(Debug, Serialize)]
struct ToldErrors {
    code: &'static str,
    count: u64,
}

/// A model of a provider, with one key: whose limits a call counts against.
#[derive(Debug, Serialize)]
struct Endpoint {
    /// `provider/model`.
    name: String,
    state: State,
    /// Seconds that it has been down for.
    down_s: Option<u64>,
    /// Seconds until calls go out again, because the provider asked for a pause.
    paused_s: Option<f64>,
    in_flight: u32,
    waiting: usize,
    /// Calls that may be in flight now, as found; `most` is the bound.
    limit: u32,
    most: u32,
    /// Limits per minute, configured or told by the provider; `null` where none is known.
    rpm: Option<u64>,
    tpm: Option<u64>,
    itpm: Option<u64>,
    otpm: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Up,
    /// Nothing is sent before the provider's own pause is over.
    Paused,
    /// It does not answer; a probe will be sent.
    Down,
    /// It did not answer, and a probe is on its way.
    Probing,
    GivenUp,
}

impl Snapshot {
    /// Puts together what was counted and what the accounts tell.
    pub(super) fn new(gathered: Gathered, running: &Running, clock: &dyn Clock) -> Self {
        let now = clock.now();
        let accounts = running.session.named_accounts();
        let mut endpoints: Vec<Endpoint> = accounts.into_iter().map(Endpoint::of).collect();
        // stable: names stay in order among the equally busy
        endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.rank()));
        let endpoints_left_out = endpoints.len().saturating_sub(MOST_ENDPOINTS);
        endpoints.truncate(MOST_ENDPOINTS);
        endpoints.sort_by(|one, other| one.name.cmp(&other.name));
        let Gathered {
            latency,
            first_token,
            ..
        } = &gathered;
        let told = |calls: Vec<Latest>| {
            let latest_first = calls.into_iter().rev();
            latest_first.map(Latest::told).collect()
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            at_ms: epoch_ms(clock.wall()),
            uptime_s: uptime(now).as_secs(),
            in_flight: gathered.in_flight,
            rate: gathered.rate,
            last_minute: gathered.last_minute,
            total: gathered.total.into(),
            window: gathered.window.counts.into(),
            latency_ms: latency.quantiles(),
            first_token_ms: first_token.quantiles(),
            series: Series::of(&gathered.calls, &gathered.costs, latency, first_token),
            errors: gathered
                .errors
                .into_iter()
                .map(|(kind, count)| ToldErrors {
                    code: kind.code(),
                    count,
                })
                .collect(),
            endpoints,
            endpoints_left_out,
            models: gathered.models.told(now),
            callers: gathered.callers.told(now),
            budgets: running
                .callers
                .budgets()
                .iter()
                .filter_map(CallerBudget::of)
                .collect(),
            latest: told(gathered.latest),
            failures: told(gathered.failures),
        }
    }
}

impl Series {
    fn of(calls: &[Second], costs: &[Second], latency: &Window, first_token: &Window) -> Self {
        let cost = |counts: &Counts| counts.spent.known_cost().map(|cost| cost.as_f64());
        let lost = |counts: &Counts| counts.failed + counts.hung_up;
        Self {
            window_s: WINDOW,
            calls_step_s: CALLS_STEP,
            answered: calls.iter().map(|step| step.counts.answered).collect(),
            failed: calls.iter().map(|step| lost(&step.counts)).collect(),
            latency_step_s: LATENCY_STEP,
            latency_ms: latency.by_step(),
            first_token_ms: first_token.by_step(),
            cost_step_s: COST_STEP,
            cost_usd: costs.iter().map(|step| cost(&step.counts)).collect(),
        }
    }
}

impl Endpoint {
    fn of(named: NamedAccount) -> Self {
        let account = &named.account;
        Self::new(
            format!("{}/{}", named.provider, named.model),
            account.snapshot(),
            account.quota(),
            account.clock().now(),
        )
    }

    fn new(name: String, account: AccountSnapshot, quota: QuotaConfig, now: Moment) -> Self {
        let paused_s = account
            .paused_until
            .map(|until| until.since(now).as_secs_f64())
            .filter(|left| *left > 0.0);
        let (state, down_s) = match account.endpoint {
            EndpointState::Up if paused_s.is_some() => (State::Paused, None),
            EndpointState::Up => (State::Up, None),
            EndpointState::GivenUp => (State::GivenUp, None),
            EndpointState::Down { since } => {
                let state = match account.in_flight {
                    0 => State::Down,
                    _ => State::Probing,
                };
                (state, Some(now.since(since).as_secs()))
            }
        };
        Self {
            name,
            state,
            down_s,
            paused_s,
            in_flight: account.in_flight,
            waiting: account.waiting,
            limit: account.limit,
            most: account.most,
            rpm: quota.rpm,
            tpm: quota.tpm,
            itpm: quota.itpm,
            otpm: quota.otpm,
        }
    }

    /// What is unwell comes before what is busy, and that before the rest.
    fn rank(&self) -> (bool, u64) {
        let busy = u64::from(self.in_flight) + self.waiting as u64;
        (self.state != State::Up, busy)
    }
}
/// What a caller may spend in a day, and has spent, for people to read.
#[derive(Clone, Debug, Serialize)]
struct CallerBudget {
    /// The name of its key.
    name: String,
    /// Dollars a day, UTC.
    budget_usd: f64,
    /// Dollars of it that are spent or kept for calls whose end is not known.
    spent_usd: f64,
}

impl CallerBudget {
    fn of((name, budget): &(Arc<str>, BudgetSnapshot)) -> Option<Self> {
        Some(Self {
            name: name.as_ref().to_owned(),
            budget_usd: budget.cap?.as_f64(),
            spent_usd: (budget.spent + budget.lost + budget.open).as_f64(),
        })
    }
}
