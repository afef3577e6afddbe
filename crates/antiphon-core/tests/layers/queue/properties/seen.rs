//! What must hold, checked as it happens: by the bearing when a call is let out, by the client when it comes.

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    ops::Range,
    sync::{Arc, Mutex},
};

use antiphon_core::{
    Moment,
    layers::queue::{Bearing, Ending, Turn},
};

use super::{super::MS, plan::Call};

/// All that is seen, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) faults: Vec<String>,
    /// All calls in the order in which they were made.
    pub(super) made: Vec<usize>,
    /// Those that wait and have never been at the client.
    pub(super) in_line: BTreeSet<usize>,
    /// Those of them that may have been refused, and have not heard of it.
    pub(super) sent_away: Vec<usize>,
    /// Calls at the client: its own count, streams to their end.
    pub(super) at_client: usize,
    /// For each group, after a failure that closed it: calls that were let out by then and may still begin.
    pub(super) may_begin: [Option<usize>; 3],
    pub(super) refused: u64,
    pub(super) let_out: u64,
}

pub(super) type Shared = Arc<Mutex<Seen>>;

impl Seen {
    pub(super) fn check(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(fault());
        }
    }

    /// A call of this group reaches the client when so many are out.
    pub(super) fn begins(&mut self, call: usize, group: usize, out: usize) {
        self.at_client += 1;
        let at_client = self.at_client;
        self.check(at_client <= out, || {
            format!("{at_client} at the client, {out} out")
        });
        // those before it in line have been let out, too, and only not run since
        let waits =
            |other: &&usize| self.in_line.contains(other) && !self.sent_away.contains(other);
        let earlier = self.made.iter().take_while(|other| **other != call);
        let before = earlier.filter(waits).count();
        let on_their_way = out.saturating_sub(at_client);
        self.check(before <= on_their_way, || {
            format!("{call} before {before} earlier ones, of which {on_their_way} are let out")
        });
        self.in_line.remove(&call);
        if let Some(left) = &mut self.may_begin[group] {
            let is_late = *left == 0;
            *left = left.saturating_sub(1);
            self.check(!is_late, || format!("{call} begins after the end"));
        }
    }

    /// A call failed, which closes these groups, while so many were out.
    pub(super) fn closes(&mut self, groups: Range<usize>, calls: &[Call], out: usize) {
        let in_line = self.in_line.iter().copied();
        self.sent_away
            .extend(in_line.filter(|other| groups.contains(&calls[*other].group)));
        let left = out.saturating_sub(self.at_client);
        for group in groups {
            self.may_begin[group].get_or_insert(left);
        }
    }
}

/// Changes its limit with each event, and takes calls back.
#[derive(Debug)]
pub(super) struct Moody {
    pub(super) limits: Vec<u32>,
    pub(super) at: usize,
    pub(super) out: Vec<Turn>,
    pub(super) taken_back: Vec<(u32, usize)>,
    pub(super) seen: Shared,
}

impl Bearing for Moody {
    fn limit(&self) -> NonZeroU32 {
        NonZeroU32::new(self.limits[self.at % self.limits.len()]).unwrap()
    }

    fn started(&mut self, turn: Turn, wanted: usize, _now: Moment) {
        let limit = self.limit().get() as usize;
        let mut seen = self.seen.lock().unwrap();
        seen.let_out += 1;
        let at_client = seen.at_client;
        seen.check(at_client < limit, || {
            format!("{at_client} of {limit} and one more")
        });
        self.out.push(turn);
        let out = self.out.len();
        seen.check(out <= limit, || format!("{out} of {limit} are out"));
        seen.check(wanted >= out, || format!("{wanted} wanted, {out} out"));
        self.at += 1;
    }

    fn ended(&mut self, turn: Turn, _ending: Ending, _now: Moment) {
        self.out.retain(|out| *out != turn);
        self.at += 1;
    }

    fn look_at(&self) -> Option<Moment> {
        let (after, _) = self.taken_back.first()?;
        Some(Moment::after_start(*after * MS))
    }

    fn withdrawn(&mut self, _now: Moment) -> Vec<Turn> {
        let (_, count) = self.taken_back.remove(0);
        self.out.drain(..count.min(self.out.len())).collect()
    }
}
