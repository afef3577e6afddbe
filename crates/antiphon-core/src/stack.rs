//! The one order of layers.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    SharedModel,
    account::Rates,
    layers::{
        admit::{Account, Admit},
        cache::{Cache, CacheConfig},
        coalesce::{Coalesce, CoalesceConfig},
        deadline::Deadline,
        meter::{Meter, Metrics},
        retry::{Retry, RetryConfig},
        spend::{Spend, SpendConfig},
        timeout::{Timeout, TimeoutConfig},
        validate::{Validate, ValidateConfig},
    },
};

/// What the layers of a stack are told; each piece belongs to the layer of its name.
#[derive(Clone, Debug, Default)]
pub struct StackConfig {
    /// The longest that a call may take, waiting included. `None`: as long as it takes, or as its request says.
    pub deadline: Option<Duration>,
    /// Whether and how equal requests in flight share a call.
    pub coalesce: Option<CoalesceConfig>,
    /// Whether, where and under which key answers are kept.
    pub cache: Option<CacheConfig>,
    /// Answers that must fit a schema.
    pub validate: ValidateConfig,
    /// The longest that an attempt waits in front of its account, for calls whose caller waits. `None`: as long as it
    /// takes.
    pub patience: Option<Duration>,
    /// Failed attempts.
    pub retry: RetryConfig,
    /// Whether and by whom attempts are paid for.
    pub spend: Option<SpendConfig>,
    /// Slow attempts.
    pub timeout: TimeoutConfig,
    /// Prices of the answers, where they are known.
    pub rates: Option<Arc<dyn Rates>>,
    /// Once cancelled, nothing more is sent: calls that wait or would be made again end in
    /// [`ErrorKind::Stopped`](crate::ErrorKind::Stopped), calls on the wire are answered.
    pub drain: CancellationToken,
}

/// Puts the layers around a leaf that belongs to `account`. Read from the innermost to the outermost:
///
/// - **timeout** holds the leaf alone, so that a limit is always about one attempt;
/// - **meter** begins when an attempt is let out, so that waiting never counts as latency, and prices every attempt;
/// - **admit** holds permit and ticket for one attempt, so that a call in back-off holds neither;
/// - **spend** is around admission, so that money is at hand before a permit is, and nobody waits for money with a permit in
///   hand that others could use;
/// - **retry** is around both, so that an attempt made again waits its turn like any other, and holds its own worst case;
/// - **validate** is around retry, so that an answer asked for again may be retried like a first one;
/// - **cache** is around validate, so that only valid answers are kept, and a hit waits for nothing;
/// - **coalesce** is around everything that costs, so that one call serves all who asked the same, and around the cache,
///   so that an answer is kept before its flight is over: whoever comes later finds the one or the other;
/// - **deadline** is outermost: whoever is impatient does not mind what the call is waiting for, and in front of coalesce
///   one impatient caller does not end the call for the others.
pub fn stack(
    leaf: SharedModel,
    config: &StackConfig,
    account: &Arc<Account>,
    metrics: &Arc<Metrics>,
) -> SharedModel {
    let clock = account.clock();
    let drain = || config.drain.clone();
    let (account, metrics) = (|| Arc::clone(account), || Arc::clone(metrics));

    let timeout = Timeout::new(leaf, config.timeout, Arc::clone(clock));
    let rates = || config.rates.clone();
    let meter = Meter::new(Arc::new(timeout), metrics(), Arc::clone(clock), rates());
    let admit = Admit::new(Arc::new(meter), account(), drain());
    let mut attempt: SharedModel = Arc::new(admit.with_patience(config.patience));
    if let Some(spend) = config.spend.clone() {
        let (within, clock) = (config.timeout.longest(), Arc::clone(clock));
        attempt = Arc::new(Spend::new(attempt, spend, rates(), within, clock, drain()));
    }
    let retry = Retry::new(attempt, config.retry, account(), metrics(), drain());
    let mut model: SharedModel = Arc::new(Validate::new(Arc::new(retry), config.validate));
    if let Some(cache) = &config.cache {
        model = Arc::new(Cache::new(model, cache.clone()));
    }
    if let Some(coalesce) = &config.coalesce {
        model = Arc::new(Coalesce::new(model, coalesce.clone()));
    }
    Arc::new(Deadline::of_requests(
        model,
        config.deadline,
        Arc::clone(clock),
    ))
}
