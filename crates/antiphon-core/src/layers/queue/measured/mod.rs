//! [`Measured`]: finds out on real traffic how many calls a client bears at once.
//!
//! ```text
//!            calls wait            its calls take no longer
//!   Steady ───────────> Probe ───────────────────────────────> Steady, wider
//!     ^                 │   ^
//!     │   something is  v   │ the calls after it say nothing against it
//!     └──────────────── Rest
//!       final
//! ```
//!
//! A probe lets twice as many calls out as were shown to work. What it shows against the client is held against calls at
//! the last good width, before and after: who is slow, fails or repeats itself there too is not to blame for it here.

mod company;
mod echoes;
mod judge;
mod probe;
mod sample;
#[cfg(test)]
mod simulated;
mod stage;
#[cfg(test)]
mod tests;
mod verdict;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use super::bearing::{Bearing, Ending, Turn};
use crate::{ErrorKind, Moment};
use company::{Company, Was};
use echoes::{Echo, Echoes};
use probe::Probe;
use sample::Took;
use stage::{Alone, Stage, Suspicion};

pub use verdict::{ClientName, Reason, Refused, Verdict, Verdicts};

/// The most calls that a client is given at once.
const WIDEST: u32 = 64;
/// Answers at the last good width after which a wider one is tried.
const FIRST: usize = 2;
/// Answers at the last good width between two probes.
const REST: usize = 8;
/// Answers that tell whether what happened in a probe happens without it: so many, and three for each of the probe.
const LONG_REST: std::ops::RangeInclusive<usize> = 32..=64;
/// After a silence so many tell whether the client is just slow.
const AFTER_SILENCE: usize = 4;
/// Silence is no deadlock before this time, and not before so many times the slowest call at the last good width.
const PATIENCE: Duration = Duration::from_secs(30);
const TIMES_SLOWEST: u32 = 8;
/// The same where nothing has been answered yet in this session.
const BLIND: Duration = Duration::from_secs(300);

/// As many calls as were shown to work, and now and then a few more.
#[derive(Debug)]
pub struct Measured {
    client: ClientName,
    verdicts: Arc<dyn Verdicts>,
    /// Its width is the last good one.
    verdict: Verdict,
    stage: Stage,
    company: Company,
    /// Calls at the last good width.
    alone: Alone,
    echoes: Echoes,
    /// This model gives the same answers to different questions: they say nothing of the client.
    repeats_itself: bool,
}

impl Measured {
    /// Begins with what is remembered of the client, or with one call at once.
    pub fn new(client: ClientName, verdicts: Arc<dyn Verdicts>) -> Self {
        let unknown = Verdict {
            width: NonZeroU32::MIN,
            refused: None,
        };
        let known = verdicts.known(&client);
        let verdict = known.filter(Verdict::is_sound).unwrap_or(unknown);
        Self {
            client,
            verdicts,
            verdict,
            stage: Stage::Steady,
            company: Company::new(),
            alone: Alone::default(),
            echoes: Echoes::default(),
            repeats_itself: false,
        }
    }

    /// What is known by now.
    #[cfg(test)]
    fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn good(&self) -> u32 {
        self.verdict.width.get()
    }

    /// How long calls beside others may be silent.
    fn patience(&self) -> Duration {
        let slowest = self.alone.recent.slowest();
        slowest.map_or(BLIND, |slowest| PATIENCE.max(TIMES_SLOWEST * slowest))
    }

    /// The width to try next: twice the last good one, or halfway to one that gained nothing. Never between a good one and
    /// one that did harm, since trying costs answers.
    fn next(&self, wanted: usize) -> Option<u32> {
        let good = self.good();
        let step = (good / 4).max(1);
        let next = match self.verdict.refused {
            None => (2 * good).min(WIDEST),
            Some(refused) if refused.reason.is_harm() => return None,
            Some(refused) if refused.width.get() <= good + step => return None,
            Some(refused) => good.midpoint(refused.width.get()),
        };
        let next = next.min(wanted as u32);
        (next >= good + step && self.alone.times.len() >= FIRST).then_some(next)
    }

    fn answered(&mut self, turn: Turn, was: &Was) {
        let good = self.good();
        if let Some(probe) = self.stage.probe() {
            match was.most > good {
                true => probe.answered(turn, was),
                false => probe.void(turn),
            }
        }
        if was.most > good {
            return;
        }
        self.alone.ended += 1;
        self.alone.recent.push(Took::of(was.took));
        let width = self.limit().get();
        if was.load < f64::from(width.min(good)) / 2.0 {
            return;
        }
        self.alone.times.push(Took::of(was.took));
        let Stage::Rest(rest) = &mut self.stage else {
            return;
        };
        if was.most <= rest.width {
            rest.left = rest.left.saturating_sub(1);
        }
        let is_slow = |suspicion: &Suspicion| {
            suspicion.reason == Reason::Deadlock && was.took >= suspicion.slow
        };
        if rest.suspicion.as_ref().is_some_and(is_slow) {
            self.acquit();
        }
    }

    fn failed(&mut self, turn: Turn, was: &Was) {
        let is_crowded = was.most > self.good();
        if let Some(probe) = self.stage.probe() {
            match is_crowded {
                true => probe.failed(turn),
                false => probe.void(turn),
            }
        }
        if !is_crowded {
            self.alone.ended += 1;
            self.alone.failed += 1;
            return;
        }
        if matches!(self.stage, Stage::Probe(_)) && !self.fails_alone() {
            self.strike(Reason::Breaks);
        }
    }

    fn echoed(&mut self, echo: Echo) {
        match echo {
            Echo::None => {}
            Echo::Alone => {
                self.repeats_itself = true;
                let Stage::Rest(rest) = &self.stage else {
                    return;
                };
                let suspicion = rest.suspicion.as_ref();
                if suspicion.is_some_and(|suspicion| suspicion.reason == Reason::CrossTalk) {
                    self.acquit();
                }
            }
            Echo::Beside if self.repeats_itself => {}
            Echo::Beside => self.doubt(Reason::CrossTalk),
        }
    }
}

impl Bearing for Measured {
    fn limit(&self) -> NonZeroU32 {
        let width = match &self.stage {
            Stage::Steady => return self.verdict.width,
            Stage::Probe(probe) => probe.width,
            Stage::Rest(rest) => rest.width,
        };
        NonZeroU32::new(width).unwrap_or(NonZeroU32::MIN)
    }

    fn started(&mut self, turn: Turn, wanted: usize, now: Moment) {
        self.company.start(turn, now);
        match &mut self.stage {
            Stage::Probe(probe) => probe.started(turn),
            Stage::Rest(_) => {}
            Stage::Steady => {
                if let Some(width) = self.next(wanted) {
                    self.begin(Probe::of(width));
                }
            }
        }
    }

    fn ended(&mut self, turn: Turn, ending: Ending, now: Moment) {
        let Some(was) = self.company.end(turn, now) else {
            return;
        };
        match ending {
            Ending::Answered {
                asked,
                answer,
                bytes,
            } => {
                self.answered(turn, &was);
                let echo = self.echoes.heard(asked, answer, bytes, was.most > 1);
                self.echoed(echo);
            }
            Ending::Failed(kind) if speaks_of_client(kind) => self.failed(turn, &was),
            Ending::Failed(_) | Ending::Dropped => {
                if let Some(probe) = self.stage.probe() {
                    probe.void(turn);
                }
            }
        }
        self.weigh();
    }

    fn excuses(&mut self, turn: Turn, kind: ErrorKind, now: Moment) -> bool {
        let is_crowded = self.company.most(turn) > self.good();
        if !is_crowded || !speaks_of_client(kind) || self.alone.failed > 0 {
            return false;
        }
        self.ended(turn, Ending::Failed(kind), now);
        true
    }

    fn look_at(&self) -> Option<Moment> {
        self.company.silent_at(self.patience())
    }

    fn withdrawn(&mut self, now: Moment) -> Vec<Turn> {
        let silent = self.company.take_silent(self.patience(), now);
        if !silent.is_empty() {
            if let Some(probe) = self.stage.probe() {
                silent.iter().for_each(|turn| probe.void(*turn));
            }
            self.doubt(Reason::Deadlock);
        }
        silent
    }
}

/// Whether a failure may come of too many calls at once: not what a person, a caller or this program decided, and not what
/// is wrong with the request.
fn speaks_of_client(kind: ErrorKind) -> bool {
    let is_of_request = matches!(
        kind,
        ErrorKind::BadRequest
            | ErrorKind::ContextLength
            | ErrorKind::Refused
            | ErrorKind::Rejected
            | ErrorKind::Unsupported
    );
    !is_of_request && !kind.is_given_up()
}
