//! The rules of admission without clock, tasks or locks: events and moments go in, decisions come out.
//!
//! Every event may let somebody through, so whoever reports one calls [`Admission::poll`] afterwards.

use std::time::Duration;

use super::{
    config::{AccountConfig, AccountSnapshot, EndpointState},
    estimate::{Demand, Estimate},
    gate::Gate,
    health::{Door, Failure, Health, Trouble},
    line::{Line, Place},
    outage::WhenDown,
    pause::Pause,
    quota::{Quota, QuotaConfig, Settled, Ticket, Tokens},
};
use crate::{Error, ErrorKind, Moment, Usage, chat::RateLimits};

/// A call that was let through.
#[derive(Debug)]
pub(super) struct Grant {
    /// Calls are numbered in the order in which they are let through.
    number: u64,
    sent: Moment,
    demand: Demand,
    ticket: Ticket,
}

/// The state of an account's admission; `T` stands for a waiting call.
#[derive(Debug)]
pub(super) struct Admission<T> {
    longest_pause: Duration,
    quota_only: bool,
    gives_up: bool,
    when_down: WhenDown,
    line: Line<(Demand, T)>,
    gate: Gate,
    quota: Quota,
    estimate: Estimate,
    pause: Pause,
    health: Health,
    next_number: u64,
}

/// Callers are told to come back and do not wait, so what a provider says may hold for longer than they would; not for
/// ever, since its mind may change.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Those who need not wait any longer, each with a grant or the error for which the account was given up.
pub(super) type Decided<T> = Vec<(T, Result<Grant, Error>)>;

impl<T> Admission<T> {
    pub(super) fn new(config: &AccountConfig) -> Self {
        Self {
            longest_pause: match config.for_callers {
                true => config.max_wait.max(LONGEST_PAUSE),
                false => config.max_wait,
            },
            quota_only: config.quota_only,
            gives_up: config.give_up_after.is_some(),
            when_down: config.outage.when_down,
            line: Line::new(),
            gate: Gate::new(config.concurrency, config.for_callers),
            quota: Quota::new(config.quota),
            estimate: Estimate::default(),
            pause: Pause::new(config.for_callers),
            health: Health::new(config.outage, config.give_up_after),
            next_number: 0,
        }
    }

    pub(super) fn join(&mut self, demand: Demand, who: T) -> Place {
        self.line.join((demand, who))
    }

    pub(super) fn leave(&mut self, place: Place) -> Option<T> {
        self.line.leave(place).map(|(_, who)| who)
    }

    /// Whether a request of so many bytes is to be counted with a real tokenizer before it joins the line: where tokens are
    /// limited, and bytes do not tell enough.
    pub(super) fn wants_count(&mut self, bytes: usize) -> bool {
        self.quota.limits_tokens() && self.estimate.wants_count(bytes)
    }

    /// A request was counted.
    pub(super) fn counted(&mut self, demand: &Demand, tokens: u64) {
        self.estimate.learn_input(demand, tokens);
    }

    /// Lets through whoever may pass now, and says when to ask again if nothing happens before.
    pub(super) fn poll(&mut self, now: Moment, decided: &mut Decided<T>) -> Option<Moment> {
        self.health.judge(now);
        loop {
            if let Some(error) = self.health.given_up() {
                let error = error.clone();
                self.refuse_all(&error, decided);
                return None;
            }
            if self.when_down == WhenDown::Refuse
                && let Door::Closed(until) = self.health.door(now)
                && let Some(error) = self.health.refusal(until, now)
            {
                self.refuse_all(&error, decided);
                break;
            }
            let Some((demand, _)) = self.line.front() else {
                break;
            };
            let tokens = self.estimate.tokens(demand, self.gate.in_flight());
            match self.wait(tokens, now) {
                Wait::No => {}
                Wait::Until(moment) => return earliest(moment, self.health.gives_up_at()),
            }
            if let Some((demand, who)) = self.line.serve() {
                let grant = self.let_through(demand, tokens, now);
                decided.push((who, Ok(grant)));
            }
        }
        self.health.gives_up_at()
    }

    fn refuse_all(&mut self, error: &Error, decided: &mut Decided<T>) {
        while let Some((_, who)) = self.line.serve() {
            decided.push((who, Err(error.clone())));
        }
    }

    /// The error of a call that waits in the line and does not want to: what it is that keeps it, and for how long at
    /// least, as far as that is known. `None` if it need not wait at all.
    pub(super) fn keeps_waiting(&mut self, now: Moment) -> Option<Error> {
        let (demand, _) = self.line.front()?;
        let tokens = self.estimate.tokens(demand, self.gate.in_flight());
        let Wait::Until(until) = self.wait(tokens, now) else {
            return None;
        };
        let wait = until.map(|until| until.since(now));
        if let Door::Closed(until) = self.health.door(now) {
            return self.health.refusal(until, now);
        }
        let (kind, why) = if self.pause.until(now).is_some() {
            (
                ErrorKind::RateLimited,
                "the provider asked for a pause, which has not ended",
            )
        } else if !self.gate.has_room() {
            (
                ErrorKind::Overloaded,
                "as many calls are in flight as may be, and none has ended in time",
            )
        } else {
            (
                ErrorKind::RateLimited,
                "the limits per minute leave no room for the call in time",
            )
        };
        Some(Error::turned_away(kind, why.to_owned(), wait))
    }

    /// Whether the first in the line must wait. Nothing is taken before everything is free.
    fn wait(&mut self, tokens: Tokens, now: Moment) -> Wait {
        if let Some(until) = self.pause.until(now) {
            return Wait::Until(Some(until));
        }
        if let Door::Closed(until) = self.health.door(now) {
            return Wait::Until(until);
        }
        if !self.gate.has_room() {
            return Wait::Until(None);
        }
        match self.quota.wait(tokens, now) {
            None => Wait::No,
            until => Wait::Until(until),
        }
    }

    fn let_through(&mut self, demand: Demand, tokens: Tokens, now: Moment) -> Grant {
        let number = self.next_number;
        self.next_number += 1;
        self.gate.enter();
        self.health.sent(number, now);
        Grant {
            number,
            sent: now,
            demand,
            ticket: self.quota.take(tokens, now),
        }
    }

    /// The permit came back.
    pub(super) fn free(&mut self) {
        self.gate.leave();
    }

    /// The call was given up before it was sent.
    pub(super) fn withdrawn(&mut self, grant: Grant, now: Moment) {
        self.health.abandoned(grant.number);
        self.quota.settle(grant.ticket, Settled::Unsent, now);
    }

    /// The caller hung up after sending: what the provider counts is unknown.
    pub(super) fn abandoned(&mut self, grant: Grant, now: Moment) {
        self.health.abandoned(grant.number);
        self.quota.settle(grant.ticket, Settled::AsReserved, now);
    }

    /// An answer's head has come.
    pub(super) fn told(&mut self, limits: &RateLimits, now: Moment) {
        if !self.quota_only {
            self.quota.learn(limits, now);
        }
    }

    /// An answer is good: whole, or its first delta.
    pub(super) fn succeeded(&mut self, grant: &Grant) {
        self.gate.succeeded();
        self.pause.succeeded();
        self.health.answered(grant.number);
    }

    /// An answer that was good has ended.
    pub(super) fn ended(&mut self, grant: Grant, usage: Option<Usage>, now: Moment) {
        self.estimate
            .learn(&grant.demand, usage, now.since(grant.sent));
        let settled = usage.map_or(Settled::AsReserved, |usage| Settled::Real(usage.into()));
        self.quota.settle(grant.ticket, settled, now);
    }

    /// The call failed; `chance` is from 0 to 1.
    pub(super) fn failed(&mut self, grant: Grant, error: &Error, now: Moment, chance: f64) {
        match Trouble::of(error).filter(|_| !self.quota_only) {
            Some(trouble) => {
                let failure = Failure {
                    trouble,
                    error,
                    number: grant.number,
                    next: self.next_number,
                    call: grant.demand.call,
                };
                if self.health.failed(&failure, now, chance) {
                    self.gate.start_over();
                }
            }
            None if error.kind() == ErrorKind::Stopped || error.is_callers_limit() => {
                self.health.abandoned(grant.number);
            }
            None => self.health.answered(grant.number),
        }
        if error.stops_the_run() && !self.quota_only && self.gives_up {
            self.health.give_up(error);
        }
        let settled = if error.kind() == ErrorKind::RateLimited {
            if !self.quota_only {
                self.rate_limited(grant.number, error.retry_after(), now);
            }
            Settled::Refused
        } else if error.phase() == Some(crate::Phase::Connect) {
            Settled::Unsent
        } else {
            error
                .usage()
                .map_or(Settled::AsReserved, |usage| Settled::Real(usage.into()))
        };
        self.quota.settle(grant.ticket, settled, now);
        // after the ticket: what the provider says is left already knows that this call took nothing
        self.quota.learn(error.limits(), now);
    }

    fn rate_limited(&mut self, number: u64, delay: Option<Duration>, now: Moment) {
        let new_burst = self.gate.rate_limited(number, self.next_number);
        match delay.filter(|delay| !delay.is_zero()) {
            Some(delay) => self.pause.told(delay.min(self.longest_pause), now),
            None if new_burst => self.pause.burst(now),
            None => {}
        }
    }

    /// Whether a failure says nothing about its request, because the endpoint is down or was never there.
    pub(super) fn excuses(&self, error: &Error) -> bool {
        self.health.down_since().is_some() && Trouble::of(error).is_some()
    }

    /// The end of the pause that the provider asked for.
    pub(super) fn paused_until(&self, now: Moment) -> Option<Moment> {
        self.pause.until(now)
    }

    pub(super) fn revive(&mut self) {
        self.health.revive();
    }

    pub(super) fn given_up(&self) -> Option<&Error> {
        self.health.given_up()
    }

    /// The limits per minute that are known, named or told.
    pub(super) fn quota(&self) -> QuotaConfig {
        self.quota.limits()
    }

    /// A picture of the state, for people.
    pub(super) fn snapshot(&self, now: Moment) -> AccountSnapshot {
        let endpoint = match (self.health.given_up(), self.health.down_since()) {
            (Some(_), _) => EndpointState::GivenUp,
            (None, Some(since)) => EndpointState::Down { since },
            (None, None) => EndpointState::Up,
        };
        AccountSnapshot {
            in_flight: self.gate.in_flight(),
            waiting: self.line.waiting(),
            limit: self.gate.limit(),
            most: self.gate.most(),
            paused_until: self.pause.until(now),
            endpoint,
            next_probe: self.health.next_probe(now),
        }
    }
}

enum Wait {
    No,
    /// Until this moment, or until something happens.
    Until(Option<Moment>),
}

fn earliest(a: Option<Moment>, b: Option<Moment>) -> Option<Moment> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
