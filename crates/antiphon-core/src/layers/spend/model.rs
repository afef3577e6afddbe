//! All interleavings of a small case, by breadth-first search over the real machine.
//!
//! Three attempts, a budget of the whole and one of a key, a disk, a provider that bills anything up to the hold, writes that
//! fail, and crashes at any point with what was being written on the disk or not. After a crash every attempt that was not
//! over is made again.

use std::collections::{HashSet, VecDeque};

use super::{
    desk::{Decided, Desk, Held, Lane, Payers, Place, PurseId},
    purse::{Purse, Settled},
};
use crate::Usd;

const WHOLE: usize = 0;
const KEY: usize = 1;

/// A small case.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// Of the whole and of the key.
    caps: [u64; 2],
    /// What each attempt holds, and whether the key pays for it too.
    attempts: [(u64, bool); 3],
    /// Attempts that may hold money before they are sent.
    most_unsent: usize,
    crashes: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Idle,
    Waiting(Place),
    Held(Held),
    /// On the wire, with what the provider bills for it.
    Sent(Held, u64),
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    desk: Desk<usize>,
    stages: [Stage; 3],
    billed: [u64; 2],
    disk: [u64; 2],
    writes: VecDeque<(PurseId, Usd)>,
    crashes: u8,
}

fn picos(amount: u64) -> Usd {
    Usd::from_picos(amount)
}

impl World {
    fn new(case: &Case) -> Self {
        Self {
            desk: desk(case, [0, 0]),
            stages: [Stage::Idle; 3],
            billed: [0; 2],
            disk: [0; 2],
            writes: VecDeque::new(),
            crashes: case.crashes,
        }
    }

    fn after(&self, change: impl FnOnce(&mut Self, &mut Decided<usize>)) -> Self {
        let mut next = self.clone();
        let mut decided = Decided::default();
        change(&mut next, &mut decided);
        next.desk.poll(&mut decided);
        for (who, verdict) in decided.answers {
            next.stages[who] = verdict.map_or(Stage::Over, Stage::Held);
        }
        next.writes.extend(decided.raises);
        next
    }

    fn settled(&self, who: usize, held: Held, settled: Settled) -> Self {
        self.after(|next, _| {
            next.stages[who] = Stage::Over;
            next.desk.settle(held, settled);
        })
    }

    /// Every state that may come next.
    fn next(&self, case: &Case) -> Vec<Self> {
        let mut all = Vec::new();
        for who in 0..3 {
            match self.stages[who] {
                Stage::Over => {}
                Stage::Idle => all.push(self.after(|next, _| {
                    let (amount, keyed) = case.attempts[who];
                    let key = keyed.then_some(PurseId(KEY));
                    let held = Held {
                        amount: picos(amount),
                        payers: Payers::new(key, Some(PurseId(WHOLE))),
                        lane: Lane(0),
                    };
                    next.stages[who] = Stage::Waiting(next.desk.ask(held, who));
                })),
                Stage::Waiting(place) => all.push(self.after(|next, _| {
                    next.stages[who] = Stage::Over;
                    assert_eq!(next.desk.leave(place), Some(who));
                })),
                Stage::Held(held) => {
                    all.push(self.after(|next, _| {
                        next.stages[who] = Stage::Over;
                        next.desk.sent(held);
                        next.desk.settle(held, Settled::Refund);
                    }));
                    all.extend((0..=held.amount.picos()).map(|bill| {
                        self.after(|next, _| {
                            next.stages[who] = Stage::Sent(held, bill);
                            next.desk.sent(held);
                            for payer in held.payers.iter() {
                                next.billed[payer.0] += bill;
                            }
                        })
                    }));
                }
                Stage::Sent(held, bill) => {
                    all.push(self.settled(who, held, Settled::Cost(picos(bill))));
                    all.push(self.settled(who, held, Settled::Keep));
                    if bill == 0 {
                        all.push(self.settled(who, held, Settled::Refund));
                    }
                }
            }
        }
        if let Some((id, to)) = self.writes.front().copied() {
            for is_durable in [true, false] {
                all.push(self.after(|next, decided| {
                    next.writes.pop_front();
                    if is_durable {
                        next.disk[id.0] = to.picos();
                    }
                    next.desk.raised(id, is_durable, decided);
                }));
            }
        }
        if self.crashes > 0 {
            // a disk takes writes in their order: any number of those under way have reached it
            let reached = 0..=self.writes.len();
            all.extend(reached.map(|number| self.crashed(case, number)));
        }
        all
    }

    fn crashed(&self, case: &Case, reached: usize) -> Self {
        let mut next = self.clone();
        for (id, to) in next.writes.drain(..).take(reached) {
            next.disk[id.0] = to.picos();
        }
        for stage in &mut next.stages {
            if *stage != Stage::Over {
                *stage = Stage::Idle;
            }
        }
        next.desk = desk(case, next.disk);
        next.crashes -= 1;
        next
    }

    fn check(&self, case: &Case) {
        for payer in [WHOLE, KEY] {
            let told = self.desk.purse(PurseId(payer)).snapshot();
            let used = (told.spent + told.lost + told.open).picos();
            assert!(self.billed[payer] <= case.caps[payer], "{self:?}");
            assert!(self.billed[payer] <= self.disk[payer], "{self:?}");
            assert!(used <= case.caps[payer], "{self:?}");
            assert!(used <= self.disk[payer], "{self:?}");
        }
        let waits = |stage: &Stage| matches!(stage, Stage::Waiting(_));
        let moves = |stage: &Stage| matches!(stage, Stage::Held(_) | Stage::Sent(..));
        let is_stuck = self.stages.iter().any(waits)
            && !self.stages.iter().any(moves)
            && self.writes.is_empty();
        assert!(!is_stuck, "waits for nothing: {self:?}");
    }
}

fn desk(case: &Case, disk: [u64; 2]) -> Desk<usize> {
    let mut desk = Desk::new(case.most_unsent);
    for payer in [WHOLE, KEY] {
        let (cap, spent) = (picos(case.caps[payer]), picos(disk[payer]));
        desk.open(Purse::new(Some(cap), spent, true));
    }
    desk
}

/// Visits every state that can be reached, and gives their number.
fn explore(case: &Case) -> usize {
    let first = World::new(case);
    let mut seen = HashSet::from([first.clone()]);
    let mut open = VecDeque::from([first]);
    while let Some(world) = open.pop_front() {
        world.check(case);
        for next in world.next(case) {
            if seen.insert(next.clone()) {
                open.push_back(next);
            }
        }
    }
    seen.len()
}

#[test]
fn no_interleaving_of_a_small_case_exceeds_a_budget_or_gets_stuck() {
    // two holds fit the whole and one the key; two fit the key; one fits nowhere
    let cases = [
        ([5, 3], [(2, false), (2, true), (2, true)], 3),
        ([5, 3], [(2, false), (2, true), (2, true)], 1),
        ([4, 4], [(2, true), (1, false), (2, true)], 2),
        ([3, 2], [(3, false), (1, true), (3, true)], 3),
    ];
    for (caps, attempts, most_unsent) in cases {
        let case = Case {
            caps,
            attempts,
            most_unsent,
            crashes: 2,
        };
        let states = explore(&case);
        assert!(states > 1000, "{case:?} has only {states} states");
    }
}
