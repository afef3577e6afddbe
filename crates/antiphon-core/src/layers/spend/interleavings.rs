//! Random interleavings of everything that happens to attempts, against what a provider may have billed.

use proptest::prelude::*;

use super::{
    desk::{Decided, Desk, Held, Lane, Payers, Place, PurseId},
    purse::{Purse, Settled},
};
use crate::Usd;

fn cases(default: u32) -> ProptestConfig {
    let named = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: named
            .and_then(|cases| cases.parse().ok())
            .unwrap_or(default),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn picos(amount: u64) -> Usd {
    Usd::from_picos(amount)
}

/// What may happen next; numbers choose among the attempts that it can happen to.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// An attempt asks, paid by the whole and perhaps by one of two keys.
    Ask {
        amount: u64,
        key: u8,
    },
    Leave(usize),
    Send(usize),
    /// It is dropped before it was sent.
    Withdraw(usize),
    /// It is answered, at this part of its hold (in thousandths).
    Answer(usize, u64),
    Refuse(usize),
    /// Its end is not known; the provider has billed all of it.
    Lose(usize),
    /// The oldest write under way ends.
    Written(bool),
    /// The process is killed; `true`: what was being written has reached the disk.
    Crash(bool),
    /// The job ends in good order and is gone on with.
    Resume,
}

fn event() -> impl Strategy<Value = Event> {
    let which = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
    prop_oneof![
        8 => (0..300_u64, 0..4_u8).prop_map(|(amount, key)| Event::Ask { amount, key }),
        1 => which.clone().prop_map(Event::Leave),
        8 => which.clone().prop_map(Event::Send),
        1 => which.clone().prop_map(Event::Withdraw),
        5 => (which.clone(), 0..=1000_u64).prop_map(|(which, part)| Event::Answer(which, part)),
        2 => which.clone().prop_map(Event::Refuse),
        1 => which.prop_map(Event::Lose),
        6 => prop::bool::weighted(0.95).prop_map(Event::Written),
        1 => any::<bool>().prop_map(Event::Crash),
        1 => Just(Event::Resume),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Waiting(Place),
    Held(Held),
    Sent(Held),
    Over,
}

/// A job, its disk and its provider.
struct World {
    caps: [u64; 3],
    most_unsent: usize,
    desk: Desk<usize>,
    stages: Vec<Stage>,
    /// What the provider has billed for certain or may bill for what is on the wire, by payer.
    billed: [u64; 3],
    /// What the desk must think: settled and kept, by payer.
    settled: [u64; 3],
    kept: [u64; 3],
    disk: [u64; 3],
    writes: Vec<(PurseId, Usd)>,
    /// Attempts that were told no, and those that left.
    refused: usize,
}

impl World {
    fn new(caps: [u64; 3], most_unsent: usize) -> Self {
        let mut world = Self {
            caps,
            most_unsent,
            desk: Desk::new(most_unsent),
            stages: Vec::new(),
            billed: [0; 3],
            settled: [0; 3],
            kept: [0; 3],
            disk: [0; 3],
            writes: Vec::new(),
            refused: 0,
        };
        world.begin();
        world
    }

    /// Begins with what the disk says.
    fn begin(&mut self) {
        self.desk = Desk::new(self.most_unsent);
        for payer in 0..3 {
            let purse = Purse::new(Some(picos(self.caps[payer])), picos(self.disk[payer]), true);
            self.desk.open(purse);
            self.settled[payer] = self.disk[payer];
            self.kept[payer] = 0;
        }
    }

    fn act<R>(&mut self, event: impl FnOnce(&mut Desk<usize>, &mut Decided<usize>) -> R) -> R {
        let mut decided = Decided::default();
        let result = event(&mut self.desk, &mut decided);
        self.desk.poll(&mut decided);
        for (who, verdict) in decided.answers {
            self.stages[who] = match verdict {
                Ok(held) => Stage::Held(held),
                Err(_) => {
                    self.refused += 1;
                    Stage::Over
                }
            };
        }
        self.writes.extend(decided.raises);
        result
    }

    /// Some attempt in the stage that `of` knows.
    fn pick<T>(&self, which: usize, of: impl Fn(Stage) -> Option<T>) -> Option<(usize, T)> {
        let stages = self.stages.iter().enumerate();
        let found = stages.filter_map(|(who, stage)| Some((who, of(*stage)?)));
        let mut found: Vec<_> = found.collect();
        (!found.is_empty()).then(|| found.swap_remove(which % found.len()))
    }

    fn held(stage: Stage) -> Option<Held> {
        match stage {
            Stage::Held(held) => Some(held),
            _ => None,
        }
    }

    fn sent(stage: Stage) -> Option<Held> {
        match stage {
            Stage::Sent(held) => Some(held),
            _ => None,
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Ask { amount, key } => {
                let key = (key > 0 && key < 3).then_some(PurseId(key.into()));
                let who = self.stages.len();
                let held = Held {
                    amount: picos(amount),
                    payers: Payers::new(key, Some(PurseId(0))),
                    lane: Lane(who % 2),
                };
                let place = self.desk.ask(held, who);
                self.stages.push(Stage::Waiting(place));
                self.act(|_, _| ());
            }
            Event::Leave(which) => {
                let waiting = |stage| match stage {
                    Stage::Waiting(place) => Some(place),
                    _ => None,
                };
                if let Some((who, place)) = self.pick(which, waiting) {
                    self.stages[who] = Stage::Over;
                    assert_eq!(self.act(|desk, _| desk.leave(place)), Some(who));
                }
            }
            Event::Send(which) => {
                if let Some((who, held)) = self.pick(which, Self::held) {
                    // the provider may bill all of it from now on
                    self.stages[who] = Stage::Sent(held);
                    self.bill(held, held.amount.picos());
                    self.act(|desk, _| desk.sent(held));
                }
            }
            Event::Withdraw(which) => {
                if let Some((who, held)) = self.pick(which, Self::held) {
                    self.desk.sent(held);
                    self.end(who, held, Settled::Refund);
                }
            }
            Event::Answer(which, part) => {
                if let Some((who, held)) = self.pick(which, Self::sent) {
                    let cost = held.amount.picos() * part / 1000;
                    self.unbill(held, held.amount.picos() - cost);
                    self.end(who, held, Settled::Cost(picos(cost)));
                }
            }
            Event::Refuse(which) => {
                if let Some((who, held)) = self.pick(which, Self::sent) {
                    self.unbill(held, held.amount.picos());
                    self.end(who, held, Settled::Refund);
                }
            }
            Event::Lose(which) => {
                if let Some((who, held)) = self.pick(which, Self::sent) {
                    self.end(who, held, Settled::Keep);
                }
            }
            Event::Written(is_durable) => {
                if !self.writes.is_empty() {
                    let (id, to) = self.writes.remove(0);
                    if is_durable {
                        self.disk[id.0] = to.picos();
                    }
                    self.act(|desk, decided| desk.raised(id, is_durable, decided));
                }
            }
            Event::Crash(is_durable) => {
                for (id, to) in std::mem::take(&mut self.writes) {
                    if is_durable {
                        self.disk[id.0] = to.picos();
                    }
                }
                // what is on the wire stays billed in full
                self.stages.fill(Stage::Over);
                self.begin();
            }
            Event::Resume => {
                while !self.writes.is_empty() {
                    self.happens(Event::Written(true));
                }
                for who in 0..self.stages.len() {
                    match self.stages[who] {
                        Stage::Held(held) => {
                            self.desk.sent(held);
                            self.end(who, held, Settled::Refund);
                        }
                        Stage::Sent(held) => self.end(who, held, Settled::Keep),
                        _ => {}
                    }
                }
                for payer in 0..3 {
                    self.disk[payer] = self.desk.purse(PurseId(payer)).used().picos();
                }
                self.writes.clear();
                self.stages.fill(Stage::Over);
                self.begin();
            }
        }
    }

    fn bill(&mut self, held: Held, amount: u64) {
        held.payers
            .iter()
            .for_each(|payer| self.billed[payer.0] += amount);
    }

    fn unbill(&mut self, held: Held, amount: u64) {
        held.payers
            .iter()
            .for_each(|payer| self.billed[payer.0] -= amount);
    }

    fn end(&mut self, who: usize, held: Held, settled: Settled) {
        self.stages[who] = Stage::Over;
        for payer in held.payers.iter() {
            match settled {
                Settled::Cost(cost) => self.settled[payer.0] += cost.picos(),
                Settled::Keep => self.kept[payer.0] += held.amount.picos(),
                Settled::Refund => {}
            }
        }
        self.act(|desk, _| desk.settle(held, settled));
    }

    /// Drops what is over, where nobody waits who is known by its number.
    fn forget(&mut self) {
        self.stages.retain(|stage| *stage != Stage::Over);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for payer in 0..3 {
            let held = self.stages.iter().filter_map(|stage| match stage {
                Stage::Held(held) | Stage::Sent(held) => Some(held),
                _ => None,
            });
            let open: u64 = held
                .filter(|held| held.payers.iter().any(|id| id.0 == payer))
                .map(|held| held.amount.picos())
                .sum();
            let told = self.desk.purse(PurseId(payer)).snapshot();
            let expected = (self.settled[payer], self.kept[payer], open);
            let is = (told.spent.picos(), told.lost.picos(), told.open.picos());
            prop_assert_eq!(is, expected, "payer {}", payer);
            let used = is.0 + is.1 + is.2;
            prop_assert!(self.billed[payer] <= self.caps[payer], "payer {}", payer);
            prop_assert!(used <= self.caps[payer], "payer {} uses {}", payer, used);
            prop_assert!(used <= self.disk[payer].max(self.settled[payer]));
            prop_assert!(
                self.billed[payer] <= self.disk[payer],
                "a crash forgets a bill"
            );
            prop_assert_eq!(told.left(), Some(picos(self.caps[payer] - used)));
        }
        for lane in 0..2 {
            let unsent = self.stages.iter().filter_map(|stage| Self::held(*stage));
            let unsent = unsent.filter(|held| held.lane == Lane(lane)).count();
            prop_assert!(unsent <= self.most_unsent);
        }
        let waiting = |stage: &&Stage| matches!(stage, Stage::Waiting(_));
        let waiting = self.stages.iter().filter(waiting).count();
        prop_assert_eq!(self.desk.waiting(), waiting);
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Whatever happens in whatever order, crashes included, no payer is ever billed more than its cap, nothing is lost
    /// or invented, and whoever waits is told in the end.
    #[test]
    fn no_budget_is_ever_exceeded(
        caps in [200..3000_u64, 100..1500_u64, 100..1500_u64],
        most_unsent in 1..6_usize,
        events in prop::collection::vec(event(), 1..250),
    ) {
        let mut world = World::new(caps, most_unsent);
        for event in events {
            world.happens(event);
            world.check()?;
        }
        // all that is under way ends, and everything can be written
        loop {
            if !world.writes.is_empty() {
                world.happens(Event::Written(true));
            } else if world.pick(0, World::held).is_some() {
                world.happens(Event::Send(0));
            } else if world.pick(0, World::sent).is_some() {
                world.happens(Event::Answer(0, 500));
            } else {
                break;
            }
            world.check()?;
        }
        prop_assert_eq!(world.desk.waiting(), 0, "somebody waits for nothing");
    }

    /// With holds of at most a hundredth of the cap, at least 95 % of it is used before anybody is refused, whatever the
    /// attempts really cost and however many are under way.
    #[test]
    fn the_budget_is_used_before_it_stops(
        cap in 100_000..10_000_000_u64,
        parts in prop::collection::vec((20..=100_u64, 50..=1000_u64), 1..40),
        at_once in 1..60_usize,
    ) {
        let mut world = World::new([cap, cap, cap], 32);
        let mut parts = parts.into_iter().cycle();
        for turn in 0.. {
            let (amount, _) = parts.next().unwrap();
            world.happens(Event::Ask { amount: cap * amount / 10_000, key: 0 });
            while !world.writes.is_empty() {
                world.happens(Event::Written(true));
            }
            if world.refused > 0 {
                break;
            }
            while let Some((_, _)) = world.pick(turn, World::held) {
                world.happens(Event::Send(turn));
            }
            let on_wire = world.stages.iter().filter(|stage| World::sent(**stage).is_some());
            if on_wire.count() >= at_once || world.desk.waiting() > 0 {
                let (_, cost) = parts.next().unwrap();
                world.happens(Event::Answer(turn, cost));
            }
            if world.desk.waiting() == 0 {
                world.forget();
            }
        }
        let told = world.desk.purse(PurseId(0)).snapshot();
        prop_assert!(told.spent.picos() * 100 >= cap * 95, "{told:?}");
    }
}
