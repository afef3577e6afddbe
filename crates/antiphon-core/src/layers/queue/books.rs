//! [`Books`]: what the gate asks and tells: how many calls the model bears, and what has happened.

use std::sync::Arc;

use super::{
    bearing::{Bearing, Ending, Turn},
    gate::Keeper,
    snapshot::QueueSnapshot,
};
use crate::{Clock, Error, ErrorKind, Moment};

#[derive(Debug)]
pub(super) struct Books {
    bearing: Box<dyn Bearing>,
    clock: Arc<dyn Clock>,
    seen: QueueSnapshot,
    /// When the timer will ring.
    alarm: Option<Moment>,
    /// When the bearing has last looked.
    looked: Option<Moment>,
}

impl Books {
    pub(super) fn new(bearing: Box<dyn Bearing>, clock: Arc<dyn Clock>) -> Self {
        Self {
            seen: QueueSnapshot::new(bearing.limit()),
            bearing,
            clock,
            alarm: None,
            looked: None,
        }
    }

    pub(super) fn snapshot(&self, out: usize, waiting: usize) -> QueueSnapshot {
        QueueSnapshot {
            waiting,
            out,
            limit: self.bearing.limit(),
            ..self.seen
        }
    }

    /// Whether the timer must ring earlier than it would, which it is taken to do from here on.
    pub(super) fn is_alarm_sooner(&mut self) -> bool {
        // a bearing that would look again at once would look for ever
        let is_new = |at: &Moment| self.looked.is_none_or(|looked| looked < *at);
        let next = self.bearing.look_at().filter(is_new);
        let is_sooner = next.is_some_and(|next| self.alarm.is_none_or(|alarm| next < alarm));
        if is_sooner {
            self.alarm = next;
        }
        is_sooner
    }

    pub(super) fn alarm(&self) -> Option<Moment> {
        self.alarm
    }

    /// Whether a call that fails like this is asked again.
    pub(super) fn excuses(&mut self, turn: Turn, kind: ErrorKind) -> bool {
        self.bearing.excuses(turn, kind, self.clock.now())
    }

    /// The timer rings: the calls that are taken back. It may ring too early, for what has changed since it was set.
    pub(super) fn ring(&mut self) -> Vec<Turn> {
        let now = self.clock.now();
        self.alarm = None;
        if self.bearing.look_at().is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.looked = Some(now);
        self.bearing.withdrawn(now)
    }
}

impl Keeper for Books {
    type Since = Moment;
    type Ending = Ending;
    type Refusal = Error;

    fn limit(&self) -> usize {
        self.bearing.limit().get() as usize
    }

    fn joined(&mut self) -> Moment {
        self.clock.now()
    }

    fn let_out(&mut self, turn: Turn, since: Moment, out: usize, waiting: usize) {
        let now = self.clock.now();
        let waited = now.since(since);
        let seen = &mut self.seen;
        seen.let_out += 1;
        seen.most_out = seen.most_out.max(out);
        seen.waited = seen.waited.saturating_add(waited);
        seen.longest_wait = seen.longest_wait.max(waited);
        self.bearing.started(turn, out + waiting, now);
    }

    fn ended(&mut self, turn: Turn, ending: Ending) {
        self.seen.failed += u64::from(matches!(ending, Ending::Failed(_)));
        self.bearing.ended(turn, ending, self.clock.now());
    }

    fn refused(&mut self) {
        self.seen.refused += 1;
    }

    fn waits(&mut self, waiting: usize) {
        self.seen.most_waiting = self.seen.most_waiting.max(waiting);
    }
}
