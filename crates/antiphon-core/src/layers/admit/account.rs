//! [`Account`]: the async shell around the rules of admission: one lock, a channel for each waiting call, one timer.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{
    admission::{Admission, Decided, Grant},
    config::{AccountConfig, AccountSnapshot},
    estimate::{CountTokens, Demand},
    line::Place,
    passage::Passage,
    quota::QuotaConfig,
};
use crate::{
    BoxFuture, ChatRequest, Clock, Dice, Error, ErrorKind, Moment,
    layers::{
        alarm::{Alarm, Rings},
        retry::Budget,
    },
};

/// Whoever waits is told through this.
type Seat = oneshot::Sender<Result<Passage, Error>>;

/// The shared state of one account (provider, base URL, key and model): gate, quota, pause, health, retry budget and
/// what was learned about the size of its answers. Several stacks may share it.
pub struct Account {
    max_wait: Duration,
    counter: Option<Arc<dyn CountTokens>>,
    clock: Arc<dyn Clock>,
    dice: Arc<Dice>,
    budget: Budget,
    state: Mutex<State>,
    given_up: watch::Sender<Option<Error>>,
    alarm: Alarm,
}

struct State {
    admission: Admission<Seat>,
    /// When the timer will ring.
    alarm: Option<Moment>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Account").field(&self.snapshot()).finish()
    }
}

impl Account {
    /// An account that nobody has used yet.
    pub fn new(config: AccountConfig, clock: Arc<dyn Clock>, dice: Arc<Dice>) -> Arc<Self> {
        Self::counting(config, clock, dice, None)
    }

    /// As [`Self::new`], with a tokenizer for the requests that it helps to count.
    pub fn counting(
        config: AccountConfig,
        clock: Arc<dyn Clock>,
        dice: Arc<Dice>,
        counter: Option<Arc<dyn CountTokens>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            max_wait: config.max_wait,
            counter,
            budget: Budget::new(Arc::clone(&clock)),
            clock,
            dice,
            state: Mutex::new(State {
                admission: Admission::new(&config),
                alarm: None,
            }),
            given_up: watch::Sender::new(None),
            alarm: Alarm::default(),
        })
    }

    /// A picture of the state; cheap.
    pub fn snapshot(&self) -> AccountSnapshot {
        let now = self.clock.now();
        self.lock().admission.snapshot(now)
    }

    /// The limits per minute that are known now: those that the user names, else those that the provider's headers told.
    pub fn quota(&self) -> QuotaConfig {
        self.lock().admission.quota()
    }

    /// The error for which the account was given up: its endpoint cannot be reached or was down for too long, its key
    /// is wrong, it is empty. Every waiting and later call fails with it, so a job stops.
    pub fn given_up(&self) -> Option<Error> {
        self.given_up.borrow().clone()
    }

    /// Waits until the account is given up.
    pub async fn until_given_up(&self) -> Error {
        let mut given_up = self.given_up.subscribe();
        loop {
            if let Some(error) = given_up.borrow_and_update().clone() {
                return error;
            }
            if given_up.changed().await.is_err() {
                // the sender lives in `self`
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tries an account again that was given up, as if nothing were known of its endpoint.
    pub fn revive(self: &Arc<Self>) {
        self.act(|admission, _| {
            admission.revive();
            self.given_up.send_replace(None);
        });
    }

    /// The longest `Retry-After` that is obeyed.
    pub fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// The clock of the account, by which all layers above it count.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The dice that spread retries and probes.
    pub fn dice(&self) -> &Arc<Dice> {
        &self.dice
    }

    /// What retries are paid from.
    pub(in crate::layers) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether a failure is the endpoint's outage and not to be counted against the call.
    pub(in crate::layers) fn excuses(&self, error: &Error) -> bool {
        self.lock().admission.excuses(error)
    }

    /// How long nobody is admitted from now on, because the provider asked for a pause.
    pub(in crate::layers) fn pause(&self) -> Option<Duration> {
        let now = self.clock.now();
        let until = self.lock().admission.paused_until(now)?;
        Some(until.since(now))
    }

    pub(super) fn most_calls(&self) -> u32 {
        self.snapshot().most
    }

    /// What matters of a request; counted on a thread for blocking work where that is worth it.
    pub(super) async fn demand(&self, request: &ChatRequest) -> Demand {
        let mut demand = Demand::of(request);
        if let Some(counter) = &self.counter
            && self.lock().admission.wants_count(demand.bytes)
        {
            let (counter, request) = (Arc::clone(counter), request.clone());
            let counting = tokio::task::spawn_blocking(move || counter.count(&request));
            // a tokenizer that panics has counted nothing, and its thread has said so
            demand.counted = counting.await.ok().flatten();
            if let Some(tokens) = demand.counted {
                self.lock().admission.counted(&demand, tokens);
            }
        }
        demand
    }

    /// Waits for permit and ticket, `patience` at most. Dropping the future leaves the line.
    ///
    /// # Errors
    /// The account was given up, its endpoint is down and calls are refused meanwhile, there is no room in time, or
    /// `drain` was cancelled before the call could start.
    pub(super) async fn admit(
        self: &Arc<Self>,
        demand: Demand,
        patience: Option<Duration>,
        drain: &CancellationToken,
    ) -> Result<Passage, Error> {
        let stopped = || Error::stopped("stopped before the call was sent");
        if drain.is_cancelled() {
            return Err(stopped());
        }
        let (seat, mut verdict) = oneshot::channel();
        let place = self.act(|admission, _| admission.join(demand, seat));
        // most calls need not wait, and then neither timer nor guard is needed
        if let Ok(decided) = verdict.try_recv() {
            return decided;
        }
        self.alarm.keep(self);
        let mut leaving = Leaving {
            account: self,
            place: Some(place),
        };
        if let Some(error) = patience.and_then(|patience| self.waits_beyond(patience)) {
            return Err(error);
        }
        tokio::select! {
            biased;
            () = drain.cancelled() => Err(stopped()),
            error = self.impatient(patience) => Err(error),
            decided = &mut verdict => {
                leaving.place = None;
                // a seat is dropped only after it was told, or with the account
                decided.unwrap_or_else(|_| Err(stopped()))
            }
        }
    }

    /// The error of a call that joined the line now, if it is known to wait for longer than this.
    fn waits_beyond(&self, patience: Duration) -> Option<Error> {
        let now = self.clock.now();
        let error = self.lock().admission.keeps_waiting(now)?;
        (error.retry_after()? > patience).then_some(error)
    }

    /// Ends when patience does, with what a call has waited for in vain.
    async fn impatient(&self, patience: Option<Duration>) -> Error {
        let Some(patience) = patience else {
            return std::future::pending().await;
        };
        self.clock.sleep_until(self.clock.now() + patience).await;
        let now = self.clock.now();
        let keeps_waiting = self.lock().admission.keeps_waiting(now);
        keeps_waiting.unwrap_or_else(|| {
            let message = format!("the call has waited for its turn for {patience:?}");
            Error::turned_away(ErrorKind::Overloaded, message, None)
        })
    }

    /// Reports an event, then lets through whoever may pass because of it.
    pub(super) fn act<R>(
        self: &Arc<Self>,
        event: impl FnOnce(&mut Admission<Seat>, Moment) -> R,
    ) -> R {
        let now = self.clock.now();
        let mut state = self.lock();
        let result = event(&mut state.admission, now);
        self.settle(state, now);
        result
    }

    fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State>, now: Moment) {
        let mut decided = Vec::new();
        let next = state.admission.poll(now, &mut decided);
        let sooner = next.is_some_and(|next| state.alarm.is_none_or(|alarm| next < alarm));
        if sooner {
            state.alarm = next;
        }
        if let Some(error) = state.admission.given_up()
            && self.given_up.borrow().is_none()
        {
            self.given_up.send_replace(Some(error.clone()));
        }
        drop(state);
        if sooner {
            self.alarm.changed();
        }
        self.deliver(decided);
    }

    /// Outside the lock: a caller that has just hung up drops its passage here, which takes the lock again.
    fn deliver(self: &Arc<Self>, decided: Decided<Seat>) {
        for (seat, verdict) in decided {
            let verdict = verdict.map(|grant: Grant| Passage::new(Arc::clone(self), grant));
            drop(seat.send(verdict));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rings for Account {
    fn next_alarm(&self) -> Option<BoxFuture<'static, ()>> {
        let alarm = self.lock().alarm?;
        Some(self.clock.sleep_until(alarm))
    }

    fn ring(self: &Arc<Self>) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.alarm = None;
        self.settle(state, now);
    }
}

/// Leaves the line when the waiting future is dropped.
struct Leaving<'a> {
    account: &'a Arc<Account>,
    place: Option<Place>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.account.act(|admission, _| admission.leave(place));
        }
    }
}
