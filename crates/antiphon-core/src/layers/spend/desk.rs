//! [`Desk`]: who may hold what, first come first served, without clock, tasks or locks.
//!
//! An attempt may be paid by two budgets, that of its key and that of the whole, and holds on both or on none. Whoever waits
//! for one of them lets nobody pass who needs the same one, and everybody who does not: a key whose budget is full stops no
//! other key. Nobody starves: who waits first for the key's is followed by nobody of the key, and who waits first for the
//! whole is followed by nobody at all.
//!
//! Of each target only some attempts hold money and wait to be sent. All others wait here: what is held when a process is
//! killed counts as spent, and should be little more than what was on the wire.

use std::collections::{BTreeMap, VecDeque};

use super::purse::{Purse, Room, Settled};
use crate::Usd;

/// A budget of a desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PurseId(pub(super) usize);

/// Whoever pays for an attempt: the key first, then the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Payers([Option<PurseId>; 2]);

impl Payers {
    pub(super) fn new(key: Option<PurseId>, whole: Option<PurseId>) -> Self {
        Self([key, whole.filter(|whole| Some(*whole) != key)])
    }

    pub(super) fn iter(self) -> impl Iterator<Item = PurseId> {
        self.0.into_iter().flatten()
    }
}

/// Where an attempt goes: attempts of one target are sent through one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lane(pub(super) usize);

/// What a granted attempt holds, on each of its payers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) amount: Usd,
    pub(super) payers: Payers,
    pub(super) lane: Lane,
}

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    lane: Lane,
    number: u64,
}

/// Why nothing is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refused {
    /// The budget leaves too little for the attempt, whatever is refunded.
    Exhausted { purse: PurseId, amount: Usd },
    /// The ceiling of the budget could not be written.
    Unwritten(PurseId),
}

/// Whoever waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asking<T> {
    /// Its number in the one line of all lanes.
    number: u64,
    held: Held,
    who: T,
}

/// The attempts of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LaneLine<T> {
    /// Those that hold money and were not sent yet.
    unsent: usize,
    waiting: VecDeque<Asking<T>>,
}

/// All budgets that may pay for the same attempts; `T` stands for a waiting attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Desk<T> {
    purses: Vec<Purse>,
    /// Those in which somebody waits or is unsent.
    lanes: BTreeMap<Lane, LaneLine<T>>,
    most_unsent: usize,
    next_number: u64,
    /// Budgets of which something changed since the last poll.
    touched: Vec<PurseId>,
}

/// What has been decided: who need not wait any longer, and which ceilings must be written.
#[derive(Debug)]
pub(super) struct Decided<T> {
    pub(super) answers: Vec<(T, Result<Held, Refused>)>,
    pub(super) raises: Vec<(PurseId, Usd)>,
}

impl<T> Default for Decided<T> {
    fn default() -> Self {
        Self {
            answers: Vec::new(),
            raises: Vec::new(),
        }
    }
}

/// The judgement of one who waits.
enum Judged {
    Granted,
    Refused(Refused),
    /// It waits for this budget, which others after it may not use.
    Waits(PurseId, Room),
}

impl<T> Desk<T> {
    /// A desk without budgets, where so many attempts of each lane may hold money before they are sent.
    pub(super) fn new(most_unsent: usize) -> Self {
        Self {
            purses: Vec::new(),
            lanes: BTreeMap::new(),
            most_unsent,
            next_number: 0,
            touched: Vec::new(),
        }
    }

    pub(super) fn open(&mut self, purse: Purse) -> PurseId {
        self.purses.push(purse);
        PurseId(self.purses.len() - 1)
    }

    /// Puts another budget in its place, before anybody has asked for it.
    pub(super) fn replace(&mut self, id: PurseId, purse: Purse) {
        self.purses[id.0] = purse;
    }

    /// Changes what a budget may spend, for those who wait too.
    pub(super) fn set_cap(&mut self, id: PurseId, cap: Usd) {
        self.purses[id.0].set_cap(cap);
        self.touched.push(id);
    }

    pub(super) fn close(&mut self, id: PurseId) -> Usd {
        self.purses[id.0].close()
    }

    pub(super) fn purse(&self, id: PurseId) -> &Purse {
        &self.purses[id.0]
    }

    /// Attempts that wait.
    pub(super) fn waiting(&self) -> usize {
        self.lanes.values().map(|lane| lane.waiting.len()).sum()
    }

    pub(super) fn ask(&mut self, held: Held, who: T) -> Place {
        let number = self.next_number;
        self.next_number += 1;
        self.touched.extend(held.payers.iter());
        let lane = self.lanes.entry(held.lane).or_insert(LaneLine {
            unsent: 0,
            waiting: VecDeque::new(),
        });
        lane.waiting.push_back(Asking { number, held, who });
        Place {
            lane: held.lane,
            number,
        }
    }

    /// Leaves the line; `None` if the place has been served already.
    pub(super) fn leave(&mut self, place: Place) -> Option<T> {
        let waiting = &mut self.lanes.get_mut(&place.lane)?.waiting;
        let at = waiting.binary_search_by_key(&place.number, |asking| asking.number);
        let left = waiting.remove(at.ok()?)?;
        self.forget_empty(place.lane);
        Some(left.who)
    }

    /// It goes out, and the next of its lane may hold money.
    pub(super) fn sent(&mut self, held: Held) {
        if let Some(lane) = self.lanes.get_mut(&held.lane) {
            lane.unsent -= 1;
            self.forget_empty(held.lane);
        }
    }

    /// It has ended; of one that was not sent, [`Self::sent`] is told before.
    pub(super) fn settle(&mut self, held: Held, settled: Settled) {
        for id in held.payers.iter() {
            self.purses[id.0].settle(held.amount, settled);
            self.touched.push(id);
        }
    }

    /// A ceiling has been written, or could not be: then nobody who waits for it is let through.
    pub(super) fn raised(&mut self, id: PurseId, is_durable: bool, decided: &mut Decided<T>) {
        self.purses[id.0].raised(is_durable);
        self.touched.push(id);
        if is_durable {
            return;
        }
        for lane in self.lanes.values_mut() {
            for asking in std::mem::take(&mut lane.waiting) {
                let waits = self.purses[id.0].room(asking.held.amount) == Room::NotYet;
                match waits && asking.held.payers.iter().any(|payer| payer == id) {
                    true => {
                        let refused = Err(Refused::Unwritten(id));
                        decided.answers.push((asking.who, refused));
                    }
                    false => lane.waiting.push_back(asking),
                }
            }
        }
        self.lanes
            .retain(|_, lane| lane.unsent > 0 || !lane.waiting.is_empty());
    }

    /// Decides about everybody who can be decided about. Called after every event.
    pub(super) fn poll(&mut self, decided: &mut Decided<T>) {
        let mut closed: Vec<PurseId> = Vec::new();
        let mut wanted: Vec<(PurseId, Usd)> = Vec::new();
        // how far each lane has been looked at
        let mut looked: Vec<(Lane, usize)> = self.lanes.keys().map(|lane| (*lane, 0)).collect();
        // where nobody can be let through, those behind are looked at when somebody can
        while closed.len() < self.purses.len()
            && let Some(next) = self.earliest(&looked)
        {
            let (lane, at) = looked[next];
            let asking = &self.lanes[&lane].waiting[at];
            let verdict = match self.judge(&asking.held, &closed) {
                Judged::Waits(purse, room) => {
                    if room == Room::NotYet {
                        wanted.push((purse, self.wanted_of(purse)));
                        self.touched.push(purse);
                    }
                    if !closed.contains(&purse) {
                        closed.push(purse);
                    }
                    looked[next].1 += 1;
                    continue;
                }
                Judged::Granted => Ok(asking.held),
                Judged::Refused(refused) => Err(refused),
            };
            self.serve(lane, at, verdict, decided);
        }
        self.lanes
            .retain(|_, lane| lane.unsent > 0 || !lane.waiting.is_empty());
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            let of_it = wanted.iter().find(|(purse, _)| *purse == id);
            let waiting = of_it.map_or(Usd::ZERO, |(_, amount)| *amount);
            let raise = self.purses[id.0].raise(waiting);
            decided.raises.extend(raise.map(|to| (id, to)));
        }
    }

    /// Of the lanes that may send, the one whose next came first.
    fn earliest(&self, looked: &[(Lane, usize)]) -> Option<usize> {
        let numbers = looked.iter().enumerate().filter_map(|(index, (id, at))| {
            let lane = &self.lanes[id];
            let next = lane.waiting.get(*at)?;
            (lane.unsent < self.most_unsent).then_some((next.number, index))
        });
        numbers.min().map(|(_, index)| index)
    }

    fn serve(
        &mut self,
        lane: Lane,
        at: usize,
        verdict: Result<Held, Refused>,
        decided: &mut Decided<T>,
    ) {
        let Some(line) = self.lanes.get_mut(&lane) else {
            return;
        };
        if let Ok(held) = &verdict {
            line.unsent += 1;
            for id in held.payers.iter() {
                self.purses[id.0].hold(held.amount);
                self.touched.push(id);
            }
        }
        if let Some(asking) = line.waiting.remove(at) {
            decided.answers.push((asking.who, verdict));
        }
    }

    fn judge(&self, held: &Held, closed: &[PurseId]) -> Judged {
        let amount = held.amount;
        let rooms = || {
            let rooms = held.payers.iter();
            rooms.map(|id| (id, self.purses[id.0].room(amount)))
        };
        // what is gone does not come back, so that can be said to those behind others as well
        if let Some((purse, _)) = rooms().find(|(_, room)| *room == Room::Exhausted) {
            return Judged::Refused(Refused::Exhausted { purse, amount });
        }
        // an attempt that costs nothing takes no room away from anybody
        let blocked = |(id, room): &(PurseId, Room)| {
            *room != Room::Yes || (amount > Usd::ZERO && closed.contains(id))
        };
        match rooms().find(blocked) {
            Some((purse, room)) => Judged::Waits(purse, room),
            None => Judged::Granted,
        }
    }

    /// What those ask of a budget who come next.
    fn wanted_of(&self, id: PurseId) -> Usd {
        let lanes = self.lanes.values();
        let next = lanes.flat_map(|lane| {
            let more = self.most_unsent.saturating_sub(lane.unsent);
            lane.waiting.iter().take(more)
        });
        let of_it = next.filter(|asking| asking.held.payers.iter().any(|payer| payer == id));
        of_it.map(|asking| asking.held.amount).sum()
    }

    fn forget_empty(&mut self, id: Lane) {
        if let Some(lane) = self.lanes.get(&id)
            && lane.unsent == 0
            && lane.waiting.is_empty()
        {
            self.lanes.remove(&id);
        }
    }
}
