//! Whether the endpoint is up, down or given up: the circuit breaker of an account.
//!
//! ```text
//!            failures in a row                  5 min, or never reached
//!   up ──────────────────────────> down ──────────────────────────────────> given up
//!    ^                              │  one probe at a time,                    ^
//!    └────── a probe succeeds ──────┘  0.5 s doubling to 5 s                   │
//!   any ── wrong key, empty account ───────────────────────────────────────────┘
//! ```
//!
//! A breaker that counts errors would take a mix of 30 % failures, or one poisonous row that fails again and again,
//! for an outage. So failures count only in a row, and from several calls. What that means in numbers is
//! [`outage`](super::outage)'s.

use std::time::Duration;

use super::outage::OutageConfig;
use crate::{Error, ErrorKind, Moment, Phase};

/// Tries, one after the other, before an endpoint that never answered is given up; fewer if this long has passed.
const FIRST_TRIES: u32 = 3;
const FIRST_PATIENCE: Duration = Duration::from_secs(10);

/// What a failure says about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No connection.
    Connection,
    /// A connection and no good answer.
    Server,
}

impl Trouble {
    /// `None` for an error that shows a living endpoint, or nothing about it.
    pub(super) fn of(error: &Error) -> Option<Self> {
        match error.kind() {
            _ if error.is_callers_limit() => None,
            ErrorKind::Connection => Some(Self::Connection),
            ErrorKind::Timeout if error.phase() == Some(Phase::Connect) => Some(Self::Connection),
            ErrorKind::Timeout
            | ErrorKind::ServerError
            | ErrorKind::Overloaded
            | ErrorKind::BadResponse => Some(Self::Server),
            _ => None,
        }
    }
}

/// Failures without a success in between.
#[derive(Debug, Default)]
struct Run {
    failures: u32,
    since: Moment,
    calls: Vec<u64>,
}

impl Run {
    fn add(&mut self, call: u64, least_calls: usize, now: Moment) {
        if self.failures == 0 {
            self.since = now;
        }
        self.failures = self.failures.saturating_add(1);
        if self.calls.len() < least_calls && !self.calls.contains(&call) {
            self.calls.push(call);
        }
    }

    fn clear(&mut self) {
        self.failures = 0;
        self.calls.clear();
    }

    fn is_outage(&self, of: &super::outage::InARow, least_calls: usize, now: Moment) -> bool {
        let many = self.failures >= of.at_once;
        let long = self.failures >= of.failures && now.since(self.since) >= of.lasting;
        self.calls.len() >= least_calls && (many || long)
    }
}

/// An outage.
#[derive(Debug)]
struct Outage {
    since: Moment,
    /// Calls with a lower number were sent before it: they prove nothing any more.
    first_call: u64,
    last: Error,
    failed_probes: u32,
    probe: Option<(u64, Moment)>,
    next_probe: Moment,
}

/// Whether a call may start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Open,
    /// One call may, to see whether the endpoint is back.
    Probe,
    /// Not before this moment; `None` while a probe is out.
    Closed(Option<Moment>),
}

#[derive(Debug)]
pub(super) struct Health {
    config: OutageConfig,
    give_up_after: Option<Duration>,
    /// Whether the endpoint has ever answered anything.
    reached: bool,
    first_sent: Option<Moment>,
    /// Connection failures before it ever answered, and those among them that were tried one after the other.
    first_failures: u32,
    first_tries: u32,
    connection: Run,
    server: Run,
    outage: Option<Outage>,
    given_up: Option<Error>,
}

impl Health {
    pub(super) fn new(config: OutageConfig, give_up_after: Option<Duration>) -> Self {
        Self {
            config,
            give_up_after,
            reached: !config.doubts_first,
            first_sent: None,
            first_failures: 0,
            first_tries: 0,
            connection: Run::default(),
            server: Run::default(),
            outage: None,
            given_up: None,
        }
    }

    pub(super) fn door(&self, now: Moment) -> Door {
        let Some(outage) = &self.outage else {
            return Door::Open;
        };
        let next = match outage.probe {
            None => outage.next_probe,
            Some((_, sent)) => match self.config.longest_try {
                Some(longest) => sent + longest,
                None => return Door::Closed(None),
            },
        };
        if now < next {
            Door::Closed(Some(next))
        } else {
            Door::Probe
        }
    }

    /// Call number `number` has been let through.
    pub(super) fn sent(&mut self, number: u64, now: Moment) {
        self.first_sent.get_or_insert(now);
        if let Some(outage) = &mut self.outage {
            // the probe before it, if one is still out, has not come back in time
            outage.failed_probes += u32::from(outage.probe.is_some());
            outage.probe = Some((number, now));
        }
    }

    /// Call number `number` ended without a verdict.
    pub(super) fn abandoned(&mut self, number: u64) {
        if let Some(outage) = &mut self.outage
            && outage.is_probe(number)
        {
            outage.probe = None;
        }
    }

    /// The error of a call that is not sent while the endpoint is down.
    pub(super) fn refusal(&self, until: Option<Moment>, now: Moment) -> Option<Error> {
        let last = &self.outage.as_ref()?.last;
        let message = format!(
            "the endpoint is down and not asked again so soon: {}",
            last.message()
        );
        let wait = until.map(|until| until.since(now));
        Some(Error::turned_away(ErrorKind::Overloaded, message, wait))
    }

    /// Call number `number` was answered by a living endpoint: a success, or a refusal of this one request.
    pub(super) fn answered(&mut self, number: u64) {
        self.connection.clear();
        self.server.clear();
        let proves_life = |outage: &Outage| !self.reached || number >= outage.first_call;
        if self.outage.as_ref().is_some_and(proves_life) {
            self.outage = None;
        }
        self.reached = true;
    }

    /// Call number `number` failed; `chance` from 0 to 1 spreads the probes. True if an outage begins with it.
    pub(super) fn failed(&mut self, failure: &Failure<'_>, now: Moment, chance: f64) -> bool {
        match failure.trouble {
            Trouble::Connection if self.reached => {
                self.connection.add(failure.call, self.config.calls, now);
            }
            Trouble::Connection => {
                self.first_failures += 1;
                let one_after_the_other = match &self.outage {
                    None => true,
                    Some(outage) => outage.is_probe(failure.number),
                };
                self.first_tries += u32::from(one_after_the_other);
            }
            Trouble::Server => {
                self.reached |= failure.error.status().is_some();
                self.server.add(failure.call, self.config.calls, now);
            }
        }
        let begins = self.outage.is_none() && self.is_outage(failure.trouble, now);
        if begins {
            self.outage = Some(self.begin(failure, now, chance));
        } else if let Some(outage) = &mut self.outage {
            outage.failed(failure, &self.config, now, chance);
        }
        self.judge(now);
        begins
    }

    fn is_outage(&self, trouble: Trouble, now: Moment) -> bool {
        match trouble {
            // whether it is there at all is not yet known: look carefully from the first failure on
            Trouble::Connection if !self.reached => true,
            Trouble::Connection => {
                self.connection
                    .is_outage(&self.config.connection, self.config.calls, now)
            }
            Trouble::Server => self
                .server
                .is_outage(&self.config.server, self.config.calls, now),
        }
    }

    fn begin(&self, failure: &Failure<'_>, now: Moment, chance: f64) -> Outage {
        let since = match failure.trouble {
            Trouble::Connection if !self.reached => now,
            Trouble::Connection => self.connection.since,
            Trouble::Server => self.server.since,
        };
        Outage {
            since,
            first_call: failure.next,
            last: failure.error.clone(),
            failed_probes: 0,
            probe: None,
            next_probe: now + self.config.probe_delay(0, chance),
        }
    }

    /// Gives the endpoint up if its time has come.
    pub(super) fn judge(&mut self, now: Moment) {
        let (Some(outage), Some(patience)) = (&self.outage, self.give_up_after) else {
            return;
        };
        if self.given_up.is_some() {
            return;
        }
        let waited = now.since(self.first_sent.unwrap_or(now));
        let tried = self.first_failures >= FIRST_TRIES
            && (self.first_tries >= FIRST_TRIES || waited >= FIRST_PATIENCE);
        let why = if !self.reached && tried {
            "the endpoint cannot be reached".to_owned()
        } else if now.since(outage.since) >= patience {
            format!("the endpoint has been down for {patience:?}")
        } else {
            return;
        };
        let last = &outage.last;
        let error = Error::new(last.kind(), format!("{why}: {}", last.message()));
        self.given_up = Some(error.with_source(last.clone()).stopping_the_run());
    }

    /// The key is wrong, the account is empty or the certificate is not trusted: whoever comes next would hear the same.
    pub(super) fn give_up(&mut self, error: &Error) {
        let error = error.clone().with_attempts(0).stopping_the_run();
        self.given_up.get_or_insert(error);
    }

    pub(super) fn revive(&mut self) {
        *self = Self::new(self.config, self.give_up_after);
    }

    pub(super) fn given_up(&self) -> Option<&Error> {
        self.given_up.as_ref()
    }

    /// When the endpoint will be given up if nothing happens.
    pub(super) fn gives_up_at(&self) -> Option<Moment> {
        let outage = self.outage.as_ref()?;
        Some(outage.since + self.give_up_after?)
    }

    /// When the next probe may go, while the endpoint is down.
    pub(super) fn next_probe(&self, now: Moment) -> Option<Moment> {
        match self.door(now) {
            Door::Closed(until) => until,
            Door::Open | Door::Probe => None,
        }
    }

    /// Since when the endpoint is down.
    pub(super) fn down_since(&self) -> Option<Moment> {
        self.outage.as_ref().map(|outage| outage.since)
    }
}

/// A failed call, as health sees it.
#[derive(Debug)]
pub(super) struct Failure<'a> {
    pub(super) trouble: Trouble,
    pub(super) error: &'a Error,
    /// The call's number, in the order of sending.
    pub(super) number: u64,
    /// The number of the next call that will be sent.
    pub(super) next: u64,
    /// Which call this was an attempt of.
    pub(super) call: u64,
}

impl Outage {
    fn is_probe(&self, number: u64) -> bool {
        self.probe.is_some_and(|(probe, _)| probe == number)
    }

    fn failed(&mut self, failure: &Failure<'_>, config: &OutageConfig, now: Moment, chance: f64) {
        self.last = failure.error.clone();
        if self.is_probe(failure.number) {
            self.probe = None;
            self.failed_probes = self.failed_probes.saturating_add(1);
            self.next_probe = now + config.probe_delay(self.failed_probes, chance);
        }
    }
}
