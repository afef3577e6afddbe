//! [`Meter`]: counts attempts, times and prices them, from inside retry and admission.

mod latency;
mod readings;
mod streamed;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use hdrhistogram::Histogram;

use self::streamed::MeasuredStream;
use super::spend::has_fees;
use crate::{
    Answer, Body, BoxFuture, ChatRequest, ChatResponse, Clock, Error, ErrorKind, Model, Moment,
    SharedModel, Spent, Usage,
    account::{Billed, Rates},
};

pub use latency::{LatencyBucket, LatencySnapshot};

/// Latencies beyond this are counted as this. The histogram is allocated once.
const LONGEST: Duration = Duration::from_secs(3600);

/// What was measured, shared by all stacks of a job or a gateway.
#[derive(Debug)]
pub struct Metrics {
    attempts: AtomicU64,
    successes: AtomicU64,
    in_flight: AtomicU64,
    peak_in_flight: AtomicU64,
    peak_since_taken: AtomicU64,
    rare: Mutex<Rare>,
    latency: Mutex<Histogram<u64>>,
    spent: Mutex<BTreeMap<String, Arc<Mutex<Spent>>>>,
}

/// What happens seldom enough for a lock.
#[derive(Debug, Default)]
struct Rare {
    failures: BTreeMap<ErrorKind, u64>,
    retries: BTreeMap<ErrorKind, u64>,
}

/// The metrics at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsSnapshot {
    /// Attempts begun on the wire.
    pub attempts: u64,
    /// Attempts that ended in a complete answer.
    pub successes: u64,
    /// Attempts on the wire now.
    pub in_flight: u64,
    /// The most attempts that were ever on the wire at once.
    pub peak_in_flight: u64,
    /// Attempts that met a rate limit.
    pub rate_limited: u64,
    /// Failed attempts by kind.
    pub failures: BTreeMap<ErrorKind, u64>,
    /// Retries by the kind of error that made them necessary.
    pub retries: BTreeMap<ErrorKind, u64>,
    /// Time on the wire of the successes.
    pub latency: LatencySnapshot,
    /// What all attempts have used and cost, by the model that was asked.
    pub spent_by_model: BTreeMap<String, Spent>,
}

impl MetricsSnapshot {
    /// What all attempts have used and cost.
    pub fn spent(&self) -> Spent {
        Spent::sum(self.spent_by_model.values().copied())
    }
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new() -> Arc<Self> {
        let most = LONGEST.as_micros() as u64;
        Arc::new(Self {
            attempts: AtomicU64::new(0),
            successes: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            peak_in_flight: AtomicU64::new(0),
            peak_since_taken: AtomicU64::new(0),
            rare: Mutex::default(),
            latency: Mutex::new(
                Histogram::new_with_bounds(1, most, 3).expect("constant bounds are valid"),
            ),
            spent: Mutex::default(),
        })
    }

    /// The metrics now.
    pub fn snapshot(&self) -> MetricsSnapshot {
        let latency = LatencySnapshot::of(&lock(&self.latency));
        let spent = lock(&self.spent);
        let spent_by_model = spent
            .iter()
            .map(|(model, spent)| (model.clone(), *lock(spent)))
            .collect();
        drop(spent);
        let rare = lock(&self.rare);
        MetricsSnapshot {
            attempts: self.attempts.load(Relaxed),
            successes: self.successes.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            peak_in_flight: self.peak_in_flight.load(Relaxed),
            rate_limited: rare
                .failures
                .get(&ErrorKind::RateLimited)
                .copied()
                .unwrap_or(0),
            failures: rare.failures.clone(),
            retries: rare.retries.clone(),
            latency,
            spent_by_model,
        }
    }

    /// What all attempts have used and cost so far.
    pub fn spent(&self) -> Spent {
        Spent::sum(lock(&self.spent).values().map(|spent| *lock(spent)))
    }

    /// The account of a model: all its meters share it.
    fn spent_of(&self, model: &str) -> Arc<Mutex<Spent>> {
        let mut spent = lock(&self.spent);
        Arc::clone(spent.entry(model.to_owned()).or_default())
    }

    /// A retry is about to be made because of such an error.
    pub(super) fn retried(&self, kind: ErrorKind) {
        *lock(&self.rare).retries.entry(kind).or_default() += 1;
    }

    fn begun(&self) {
        self.attempts.fetch_add(1, Relaxed);
        let now = self.in_flight.fetch_add(1, Relaxed) + 1;
        self.peak_in_flight.fetch_max(now, Relaxed);
        self.peak_since_taken.fetch_max(now, Relaxed);
    }

    fn succeeded(&self, latency: Duration) {
        self.successes.fetch_add(1, Relaxed);
        let micros = latency.min(LONGEST).as_micros() as u64;
        lock(&self.latency).saturating_record(micros.max(1));
    }

    fn failed(&self, kind: ErrorKind) {
        *lock(&self.rare).failures.entry(kind).or_default() += 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The layer: begins to count when the call is passed on, ends when its body does.
///
/// It also stamps what it passes up: an answer has its [`latency`](crate::Answer::latency) and its price, head and error
/// have at least one attempt. An error without attempts therefore never reached the wire. Every attempt is priced at the
/// wall time when it was sent, and is counted as lost where nobody knows whether it will be billed.
#[derive(Debug)]
pub struct Meter {
    inner: SharedModel,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    rates: Option<Arc<dyn Rates>>,
    spent: Arc<Mutex<Spent>>,
}

impl Meter {
    /// Measures `inner` into `metrics`, and prices its answers where there are rates.
    pub fn new(
        inner: SharedModel,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        rates: Option<Arc<dyn Rates>>,
    ) -> Self {
        Self {
            spent: metrics.spent_of(inner.name()),
            inner,
            metrics,
            clock,
            rates,
        }
    }

    fn begin(&self, request: &ChatRequest) -> Measured {
        let service_tier = request.params.get("service_tier");
        self.metrics.begun();
        Measured {
            metrics: Arc::clone(&self.metrics),
            clock: Arc::clone(&self.clock),
            rates: self.rates.clone(),
            spent: Arc::clone(&self.spent),
            service_tier: service_tier.and_then(|tier| tier.as_str()).map(Box::from),
            has_fees: has_fees(request),
            begun: self.clock.now(),
            sent: self.clock.wall(),
            ended: false,
        }
    }
}

impl Model for Meter {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let measured = self.begin(&request);
            let mut response = match self.inner.call(request).await {
                Ok(response) => response,
                Err(error) => return Err(measured.failed(error)),
            };
            response.head.attempts = response.head.attempts.max(1);
            response.body = match response.body {
                Body::Ready(mut answer) => {
                    measured.answered(&mut answer);
                    Body::Ready(answer)
                }
                Body::Whole(answer) => Body::Whole(Box::pin(async move {
                    match answer.await {
                        Ok(mut answer) => {
                            measured.answered(&mut answer);
                            Ok(answer)
                        }
                        Err(error) => Err(measured.failed(error)),
                    }
                })),
                Body::Stream(deltas) => {
                    Body::Stream(Box::pin(MeasuredStream::new(deltas, measured)))
                }
            };
            Ok(response)
        })
    }
}

/// An attempt on the wire; on drop it is not on the wire any more.
struct Measured {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    rates: Option<Arc<dyn Rates>>,
    spent: Arc<Mutex<Spent>>,
    service_tier: Option<Box<str>>,
    /// Of which the prices of tokens tell only a part.
    has_fees: bool,
    begun: Moment,
    sent: SystemTime,
    ended: bool,
}

impl Measured {
    fn answered(self, answer: &mut Answer) {
        let (latency, spent) = self.succeeded(answer.usage(), answer.model.as_deref());
        answer.latency = latency;
        answer.spent = spent;
    }

    fn succeeded(mut self, usage: Option<Usage>, reported: Option<&str>) -> (Duration, Spent) {
        let latency = self.clock.now().since(self.begun);
        self.metrics.succeeded(latency);
        let mut spent = Spent::answer(usage);
        if let (Some(rates), Some(usage)) = (&self.rates, usage) {
            let billed = Billed {
                reported,
                service_tier: self.service_tier.as_deref(),
                usage,
                sent: self.sent,
                latency,
            };
            spent = spent
                .priced(rates.cost(&billed).filter(|_| !self.has_fees))
                .estimated(rates.impacts(&billed));
        }
        self.end(spent);
        (latency, spent)
    }

    fn failed(mut self, error: Error) -> Error {
        self.metrics.failed(error.kind());
        let attempts = error.attempts().max(1);
        let spent = match error.may_be_billed() {
            true => Spent::lost(),
            false => Spent::default(),
        };
        self.end(spent);
        error.with_attempts(attempts).with_spent(spent)
    }

    fn end(&mut self, spent: Spent) {
        self.ended = true;
        *lock(&self.spent) += spent;
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.metrics.in_flight.fetch_sub(1, Relaxed);
        if !self.ended {
            *lock(&self.spent) += Spent::lost();
        }
    }
}
