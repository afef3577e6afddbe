//! [`Purse`]: one budget as arithmetic. What is spent, what is held, and how far it may go.

use crate::Usd;

/// The ceiling is raised by at least this part of the cap, so that a job writes it some hundred times and not for each
/// attempt. What lies below it unused is lost when the process is killed.
const BLOCKS: u64 = 200;

/// One budget. Every amount is an upper bound of what the provider may bill:
///
/// `settled` (costs that are known) + `kept` (whole holds of attempts whose end is not known) + `open` (holds of attempts
/// that are under way) ≤ `cap`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Purse {
    cap: Option<Usd>,
    settled: Usd,
    kept: Usd,
    open: Usd,
    ceiling: Option<Ceiling>,
}

/// What outlives the process: an upper bound of everything that was ever spent or held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ceiling {
    durable: Usd,
    /// The write under way.
    asked: Option<Usd>,
}

/// Whether a hold may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Yes,
    /// The ceiling must be written first.
    NotYet,
    /// Not before others give back what they hold.
    Full,
    /// Never: what is spent for good leaves too little.
    Exhausted,
}

/// How an attempt ended, as far as money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Settled {
    /// It cost this much.
    Cost(Usd),
    /// It cost nothing.
    Refund,
    /// Nobody knows: the whole hold counts as spent.
    Keep,
}

/// A budget at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetSnapshot {
    /// The most that may be spent; `None` where it is only counted.
    pub cap: Option<Usd>,
    /// Known costs, those of earlier runs included.
    pub spent: Usd,
    /// Worst case of the attempts whose end is not known, those of earlier runs included: they may have been billed.
    pub lost: Usd,
    /// Worst case of the attempts under way.
    pub open: Usd,
}

impl BudgetSnapshot {
    /// What counts against the cap: what is spent, may have been billed, and may yet be.
    pub fn used(&self) -> Usd {
        self.spent + self.lost + self.open
    }

    /// What may still be held; `None` where nothing bounds it.
    pub fn left(&self) -> Option<Usd> {
        self.cap.map(|cap| cap.less(self.used()))
    }
}

impl Purse {
    /// A budget of which `spent` is gone. With `durable` it may not go beyond what was written of it.
    pub(super) fn new(cap: Option<Usd>, spent: Usd, durable: bool) -> Self {
        let ceiling = durable.then_some(Ceiling {
            durable: spent,
            asked: None,
        });
        Self {
            cap,
            settled: spent,
            kept: Usd::ZERO,
            open: Usd::ZERO,
            ceiling: ceiling.filter(|_| cap.is_some()),
        }
    }

    /// With what else may be gone for good, though nobody knows.
    pub(super) fn with_kept(mut self, kept: Usd) -> Self {
        self.kept += kept;
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.durable += kept;
        }
        self
    }

    /// With another cap from now on. What is granted stays granted.
    pub(super) fn set_cap(&mut self, cap: Usd) {
        self.cap = Some(cap);
    }

    /// Gives up what is durable beyond what is used, and says how much that is: it may be written down in its place.
    pub(super) fn close(&mut self) -> Usd {
        let used = self.used();
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.durable = ceiling.durable.min(used);
        }
        used
    }

    pub(super) fn snapshot(&self) -> BudgetSnapshot {
        BudgetSnapshot {
            cap: self.cap,
            spent: self.settled,
            lost: self.kept,
            open: self.open,
        }
    }

    pub(super) fn is_capped(&self) -> bool {
        self.cap.is_some()
    }

    /// Everything that is spent or may be.
    pub(super) fn used(&self) -> Usd {
        self.gone() + self.open
    }

    /// What no refund brings back.
    fn gone(&self) -> Usd {
        self.settled + self.kept
    }

    pub(super) fn room(&self, amount: Usd) -> Room {
        let Some(cap) = self.cap.filter(|_| amount > Usd::ZERO) else {
            // what is free fits everywhere
            return Room::Yes;
        };
        if !fits(self.gone(), amount, cap) {
            Room::Exhausted
        } else if !fits(self.used(), amount, cap) {
            Room::Full
        } else if self
            .ceiling
            .as_ref()
            .is_some_and(|ceiling| !fits(self.used(), amount, ceiling.durable))
        {
            Room::NotYet
        } else {
            Room::Yes
        }
    }

    pub(super) fn hold(&mut self, amount: Usd) {
        self.open += amount;
    }

    pub(super) fn settle(&mut self, held: Usd, settled: Settled) {
        self.open = self.open.less(held);
        match settled {
            Settled::Cost(cost) => self.settled += cost,
            Settled::Refund => {}
            Settled::Keep => self.kept += held,
        }
    }

    /// The ceiling to be written now, where there is one and no write is under way. `waiting`: what those ask for who wait.
    ///
    /// It is raised half a block before it is reached, so that attempts seldom wait for the disk.
    pub(super) fn raise(&mut self, waiting: Usd) -> Option<Usd> {
        let cap = self.cap?;
        let used = self.settled + self.kept + self.open;
        let ceiling = self.ceiling.as_mut()?;
        let block = Usd::from_picos(cap.picos() / BLOCKS);
        let soon = used + waiting.max(Usd::from_picos(block.picos() / 2));
        if ceiling.asked.is_some() || soon.min(cap).max(used) <= ceiling.durable {
            return None;
        }
        // a provider's surprise may have gone beyond the cap, and that is written too
        let to = (used + waiting.max(block)).min(cap).max(used);
        ceiling.asked = Some(to);
        Some(to)
    }

    /// The write under way has ended; `false`: it failed, and what is durable is what was so before.
    pub(super) fn raised(&mut self, is_durable: bool) {
        if let Some(ceiling) = &mut self.ceiling
            && let Some(asked) = ceiling.asked.take()
            && is_durable
        {
            ceiling.durable = asked;
        }
    }
}

/// Whether `used` and `amount` together stay within `most`, without the saturation of [`Usd`]'s own sum.
fn fits(used: Usd, amount: Usd, most: Usd) -> bool {
    let sum = used.picos().checked_add(amount.picos());
    sum.is_some_and(|sum| sum <= most.picos())
}
