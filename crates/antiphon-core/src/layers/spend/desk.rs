//! [`Desk`]: who may hold what, first come first served, without clock, tasks or locks.
//!
//! An attempt may be paid by two budgets, that of its key and that of the whole, and holds on both or on none. Whoever waits
//! for one of them lets nobody pass who needs the same one, and everybody who does not: a key whose budget is full stops no
//! other key. Nobody starves: who waits first for the key's is followed by nobody of the key, and who waits first for the
//! whole is followed by nobody at all.

use std::collections::VecDeque;

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

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place(u64);

/// What a granted attempt holds, on each of its payers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) amount: Usd,
    pub(super) payers: Payers,
}

/// Why nothing is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refused {
    /// The budget leaves too little for the attempt, whatever is refunded.
    Exhausted { purse: PurseId, amount: Usd },
    /// The ceiling of the budget could not be written.
    Unwritten(PurseId),
}

/// Whoever waits, by its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asking<T> {
    place: u64,
    amount: Usd,
    payers: Payers,
    who: T,
}

/// All budgets that may pay for the same attempts; `T` stands for a waiting attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Desk<T> {
    purses: Vec<Purse>,
    line: VecDeque<Asking<T>>,
    next_place: u64,
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
    Waits(PurseId),
}

impl<T> Desk<T> {
    pub(super) fn new() -> Self {
        Self {
            purses: Vec::new(),
            line: VecDeque::new(),
            next_place: 0,
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

    pub(super) fn purse(&self, id: PurseId) -> &Purse {
        &self.purses[id.0]
    }

    /// Attempts that wait.
    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    pub(super) fn ask(&mut self, amount: Usd, payers: Payers, who: T) -> Place {
        let place = self.next_place;
        self.next_place += 1;
        self.touched.extend(payers.iter());
        self.line.push_back(Asking {
            place,
            amount,
            payers,
            who,
        });
        Place(place)
    }

    /// Leaves the line; `None` if the place has been served already.
    pub(super) fn leave(&mut self, place: Place) -> Option<T> {
        let at = self.line.binary_search_by_key(&place.0, |a| a.place).ok()?;
        self.line.remove(at).map(|asking| asking.who)
    }

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
        for asking in std::mem::take(&mut self.line) {
            let waits = self.purses[id.0].room(asking.amount) == Room::NotYet;
            match waits && asking.payers.iter().any(|payer| payer == id) {
                true => decided
                    .answers
                    .push((asking.who, Err(Refused::Unwritten(id)))),
                false => self.line.push_back(asking),
            }
        }
    }

    /// Decides about everybody who can be decided about. Called after every event.
    pub(super) fn poll(&mut self, decided: &mut Decided<T>) {
        let mut closed: Vec<PurseId> = Vec::new();
        let mut at = 0;
        while let Some(asking) = self.line.get(at) {
            let verdict = match self.judge(asking, &closed) {
                Judged::Waits(purse) => {
                    closed.push(purse);
                    at += 1;
                    continue;
                }
                Judged::Granted => Ok(Held {
                    amount: asking.amount,
                    payers: asking.payers,
                }),
                Judged::Refused(refused) => Err(refused),
            };
            if let Ok(held) = &verdict {
                for id in held.payers.iter() {
                    self.purses[id.0].hold(held.amount);
                    self.touched.push(id);
                }
            }
            if let Some(asking) = self.line.remove(at) {
                decided.answers.push((asking.who, verdict));
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            let waiting = match self.purses[id.0].has_ceiling() {
                true => self.wanted_of(id),
                false => continue,
            };
            let raise = self.purses[id.0].raise(waiting);
            decided.raises.extend(raise.map(|to| (id, to)));
        }
    }

    fn judge(&self, asking: &Asking<T>, closed: &[PurseId]) -> Judged {
        let rooms = || {
            let rooms = asking.payers.iter();
            rooms.map(|id| (id, self.purses[id.0].room(asking.amount)))
        };
        let amount = asking.amount;
        // what is gone does not come back, so that can be said to those behind others as well
        if let Some((purse, _)) = rooms().find(|(_, room)| *room == Room::Exhausted) {
            return Judged::Refused(Refused::Exhausted { purse, amount });
        }
        // an attempt that costs nothing takes no room away from anybody
        let blocked = |(id, room): &(PurseId, Room)| {
            *room != Room::Yes || (amount > Usd::ZERO && closed.contains(id))
        };
        match rooms().find(blocked) {
            Some((purse, _)) => Judged::Waits(purse),
            None => Judged::Granted,
        }
    }

    /// What those ask of a budget who wait.
    fn wanted_of(&self, id: PurseId) -> Usd {
        let asking = self.line.iter();
        let of_it = asking.filter(|asking| asking.payers.iter().any(|payer| payer == id));
        of_it.map(|asking| asking.amount).sum()
    }
}
