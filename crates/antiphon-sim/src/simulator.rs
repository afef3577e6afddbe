//! The provider itself, before any wire: decides what becomes of each attempt.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use antiphon_core::{Clock, Usage, chat::RateLimits};
use fastrand::Rng;

use crate::{
    Fate, FaultKind, Outage, SimConfig, SimLedger, SimModel,
    answer::{Reply, compose},
    ask::Ask,
    dice::{Purpose, dice},
    ledger::{End, Flight},
    limits::{Accounts, Met},
    recent::Recent,
    rejection::{Delay, Rejection},
};

/// How much longer a slow call takes.
const TAIL: f64 = 10.0;

/// A simulated provider. Clones are the same provider: one ledger, one set of limits, one configuration.
#[derive(Clone, Debug)]
pub struct Simulator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: RwLock<Arc<State>>,
    ledger: Arc<SimLedger>,
    accounts: Accounts,
    recent: Recent,
    clock: Arc<dyn Clock>,
    requests: AtomicU64,
}

/// What can change at run time.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) config: SimConfig,
    pub(crate) outage: Option<Outage>,
}

/// What becomes of an attempt.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An error instead of an answer.
    Rejected(Rejection),
    /// An answer, perhaps with something the matter.
    Reply(Reply),
    /// No answer at all: one of `reset`, `refuse` and `hang`.
    Silence,
}

/// One attempt, judged.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) outcome: Outcome,
    pub(crate) fault: Option<FaultKind>,
    /// Limits as headers tell them.
    pub(crate) limits: RateLimits,
    /// From the request to the end of the answer.
    pub(crate) latency: Duration,
    /// Where in its body a broken answer breaks, 0 to 1.
    pub(crate) breaks_at: f64,
    pub(crate) flight: Flight,
}

impl Attempt {
    /// The request is refused at the door, without a wait.
    fn rejected(mut self, end: End, rejection: Rejection) -> Self {
        self.flight.heads_for(end, Usage::default());
        self.latency = Duration::ZERO;
        self.outcome = Outcome::Rejected(rejection);
        self
    }
}

impl Simulator {
    /// A provider with this behaviour and this sense of time. Settings out of range are clamped:
    /// [`SimConfig::check`] names them first.
    pub fn new(config: SimConfig, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            state: RwLock::new(Arc::new(State {
                config,
                outage: None,
            })),
            ledger: Arc::new(SimLedger::new()),
            accounts: Accounts::default(),
            recent: Recent::default(),
            clock,
            requests: AtomicU64::new(0),
        }))
    }

    /// One of its models, in this process.
    pub fn model(&self, name: &str) -> SimModel {
        SimModel::of(self.clone(), name)
    }

    /// Its books.
    pub fn ledger(&self) -> Arc<SimLedger> {
        self.0.ledger.clone()
    }

    /// How it behaves now.
    pub fn config(&self) -> SimConfig {
        self.state().config.clone()
    }

    /// Behaves like this from the next attempt on. What a server has bound (TLS, HTTP/2 streams) stays as it is.
    pub fn configure(&self, config: SimConfig) {
        self.change(|state| state.config = config);
    }

    /// Goes down, or comes back with `None`.
    pub fn set_outage(&self, outage: Option<Outage>) {
        self.change(|state| state.outage = outage);
    }

    /// Starts the books and the limits again; answers and faults are then the same as the first time.
    pub fn reset(&self) {
        self.0.ledger.reset();
        self.0.accounts.clear();
        self.0.recent.clear();
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut state));
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.0
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn recent(&self) -> &Recent {
        &self.0.recent
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// A new id for a request; unlike the answer's id, no two attempts share one.
    pub(crate) fn request_id(&self) -> String {
        format!("req_sim_{:012x}", self.0.requests.fetch_add(1, Relaxed))
    }

    pub(crate) async fn wait(&self, delay: Duration) {
        if !delay.is_zero() {
            let clock = &self.0.clock;
            clock.sleep_until(clock.now() + delay).await;
        }
    }

    /// Judges an attempt. The order is a provider's: form of the request, limits, and then what goes wrong.
    pub(crate) fn judge(&self, ask: &Ask, key: &str, state: &State) -> Attempt {
        let config = &state.config;
        let answer_key = ask.answer_key();
        let prompt = ask.prompt_key(&answer_key);
        let text = config.keep_prompts.then(|| ask.question());
        let (before, flight) = self.0.ledger.asked(prompt, text);
        let mut rng = dice(config.seed, Purpose::Attempt, &prompt, before);
        let drawn = drawn_fault(config, &ask.model, rng.f64());
        let mut attempt = Attempt {
            outcome: Outcome::Silence,
            fault: None,
            limits: RateLimits::default(),
            latency: drawn_latency(config, &mut rng),
            breaks_at: rng.f64(),
            flight,
        };
        if let Some(rejection) = unacceptable(ask, config) {
            return attempt.rejected(End::Rejected, rejection);
        }
        let fate = match drawn {
            None => Fate::Answers,
            // it is a matter of streams
            Some(FaultKind::EarlyEnd) if !ask.stream => Fate::Answers,
            Some(kind) => kind.fate(),
        };
        let reply = (fate != Fate::Fails)
            .then(|| compose(ask, &answer_key, config.seed, config.accuracy, drawn));
        let usage = match &reply {
            Some(reply) if !ask.is_free() => reply.usage,
            _ => Usage::default(),
        };
        let now = self.0.clock.now();
        if !drawn.is_some_and(FaultKind::is_429) {
            let verdict =
                self.0
                    .accounts
                    .admit(&account(key, &ask.model), config, now, usage.total());
            attempt.limits = verdict.told;
            if let Some((met, wait)) = verdict.wait {
                return attempt.rejected(End::RateLimited, too_fast(met, wait));
            }
        }
        self.0.ledger.let_in(now, usage.total());
        attempt.fault = drawn;
        if let Some(kind) = drawn {
            self.0.ledger.met(kind.to_string());
        }
        let Some(reply) = reply else {
            attempt.flight.heads_for(End::Failed, usage);
            if let Some(rejection) = drawn.and_then(|kind| self.failure(kind)) {
                attempt.outcome = Outcome::Rejected(rejection);
            }
            return attempt;
        };
        let end = if fate == Fate::Answers {
            End::Answered
        } else {
            End::Spoiled
        };
        attempt.flight.heads_for(end, usage);
        attempt.outcome = Outcome::Reply(reply);
        attempt
    }

    /// The error answer of a kind that has one.
    fn failure(&self, kind: FaultKind) -> Option<Rejection> {
        let bare = |status| Rejection {
            delay: None,
            ..Rejection::injected(status)
        };
        Some(match kind {
            FaultKind::Status(status) => Rejection::injected(status),
            FaultKind::Quota => Rejection::new(
                429,
                Some("insufficient_quota"),
                "You exceeded your current quota, please check your plan and billing details. (simulated)",
            ),
            FaultKind::HtmlError => Rejection {
                html: true,
                ..bare(502)
            },
            FaultKind::NoRetry => Rejection {
                should_retry: Some(false),
                ..bare(500)
            },
            FaultKind::RetryAfterMs => bare(429).after(Delay::Millis(250)),
            FaultKind::RetryAfterFloat => bare(429).after(Delay::Float(0.5)),
            FaultKind::RetryAfterDate => {
                bare(429).after(Delay::Date(self.0.clock.wall() + Duration::from_secs(2)))
            }
            FaultKind::RetryAfterHour => bare(429).after(Delay::Seconds(3600)),
            FaultKind::NoRetryAfter => bare(429),
            _ => return None,
        })
    }
}

fn account(key: &str, model: &str) -> String {
    format!("{key}\n{model}")
}

fn drawn_fault(config: &SimConfig, model: &str, draw: f64) -> Option<FaultKind> {
    let mut reach = 0.0;
    let mut faults = config.fail.iter().filter(|fault| fault.concerns(model));
    faults.find_map(|fault| {
        reach += fault.probability;
        (draw < reach).then_some(fault.kind)
    })
}

fn drawn_latency(config: &SimConfig, rng: &mut Rng) -> Duration {
    let (swing, slow) = (rng.f64(), rng.f64());
    let factor = 1.0 + config.jitter.clamp(0.0, 1.0) * (2.0 * swing - 1.0);
    let factor = if slow < config.tail {
        factor * TAIL
    } else {
        factor
    };
    config.latency.mul_f64(factor)
}

fn unacceptable(ask: &Ask, config: &SimConfig) -> Option<Rejection> {
    let model = &ask.model;
    if model.starts_with("missing") {
        let message =
            format!("The model `{model}` does not exist or you do not have access to it.");
        return Some(Rejection::new(404, Some("model_not_found"), message));
    }
    let (window, tokens) = (config.context_window, ask.input_tokens());
    (tokens > window).then(|| {
        let message = format!(
            "This model's maximum context length is {window} tokens. However, your messages resulted in {tokens} tokens."
        );
        Rejection::new(400, Some("context_length_exceeded"), message)
    })
}

fn too_fast(met: Met, wait: Duration) -> Rejection {
    let what = match met {
        Met::Requests => "requests",
        Met::Tokens => "tokens",
    };
    let message = format!(
        "Rate limit reached for {what} per minute. Please try again in {}ms.",
        wait.as_millis() + 1
    );
    Rejection::new(429, Some("rate_limit_exceeded"), message).after(Delay::Exact(wait))
}
