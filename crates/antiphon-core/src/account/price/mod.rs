//! What tokens cost: prices by class, size of input, date and hour.

mod table;
#[cfg(test)]
mod tests;
mod unit;

use std::{
    iter,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{Usage, Usd, Worst};

pub use table::{PriceTable, Prices};
pub use unit::{NotPrice, UnitPrice};

const DAY: u64 = 24 * 3600;

/// How far beyond a span prices are looked at. The wall clock may be set while an attempt is under way, and the moment it
/// is priced at is read later than the one its worst case was held at.
const MARGIN: Duration = Duration::from_secs(10 * 60);

/// When prices hold. Without any condition they always do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// From this moment on.
    pub from: Option<SystemTime>,
    /// Every day between two minutes of the day, UTC: from the first until before the second, over midnight where the
    /// second is the smaller.
    pub minutes: Option<(u32, u32)>,
}

impl When {
    /// Whether it holds at a second since 1970.
    fn holds(&self, second: u64) -> bool {
        let has_begun = self.from.is_none_or(|from| second >= seconds(from));
        has_begun
            && self.minutes.is_none_or(|(from, to)| {
                let now = (second % DAY / 60) as u32;
                match from <= to {
                    true => (from..to).contains(&now),
                    false => now >= from || now < to,
                }
            })
    }

    /// The seconds of a day at which it begins and ends to hold.
    fn turns(&self) -> impl Iterator<Item = u64> {
        let minutes = self.minutes.map(|(from, to)| [from, to]);
        minutes.into_iter().flatten().map(|m| u64::from(m) * 60)
    }
}

/// Prices that hold at certain times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When they hold.
    pub when: When,
    /// Prices of calls.
    pub standard: PriceTable,
    /// Prices through the provider's batch API, where they are known.
    pub batch: Option<PriceTable>,
}

/// All prices of one model; the last one whose condition holds is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList(pub Vec<Timed>);

impl PriceList {
    /// The prices in force at a moment; `None` where those of that time are not known.
    pub fn at(&self, moment: SystemTime) -> Option<&Timed> {
        self.at_second(seconds(moment))
    }

    fn at_second(&self, second: u64) -> Option<&Timed> {
        let mut prices = self.0.iter().rev();
        prices.find(|timed| timed.when.holds(second))
    }

    /// What a call sent at that moment costs.
    pub fn cost(&self, usage: &Usage, sent: SystemTime) -> Option<Usd> {
        Some(self.at(sent)?.standard.cost(usage))
    }

    /// What it costs through the provider's batch API.
    pub fn batch_cost(&self, usage: &Usage, sent: SystemTime) -> Option<Usd> {
        Some(self.at(sent)?.batch.as_ref()?.cost(usage))
    }

    /// No call within these bounds costs more, whatever class and tier its tokens fall into and whichever prices come into
    /// force on the way. `None`: there is no bound of its input, or a price on the way is not known.
    pub fn most(&self, worst: &Worst) -> Option<Usd> {
        let input = worst.input_tokens?;
        let begin = seconds(worst.now).saturating_sub(MARGIN.as_secs());
        let end = seconds(worst.now)
            .saturating_add(worst.within.as_secs())
            .saturating_add(MARGIN.as_secs() + 1);
        self.turns_between(begin, end)
            .map(|second| {
                let prices = self.at_second(second)?;
                Some(prices.standard.most(input, worst.output_tokens))
            })
            // `None` is the least of all: it would get lost among the others
            .try_fold(Usd::ZERO, |most, one| Some(most.max(one?)))
    }

    /// Seconds of a span among which every set of prices has one that is in force in it: its beginning, the dates in it,
    /// and the turns of each first day after these, since from then on every day is like the one before.
    fn turns_between(&self, begin: u64, end: u64) -> impl Iterator<Item = u64> {
        let dates = self.0.iter().filter_map(|timed| timed.when.from);
        let days = iter::once(begin).chain(dates.map(seconds));
        days.flat_map(move |day| {
            let turns = self.0.iter().flat_map(|timed| timed.when.turns());
            let turns = turns.map(move |turn| day.saturating_add((DAY + turn - day % DAY) % DAY));
            iter::once(day).chain(turns)
        })
        .filter(move |second| (begin..=end).contains(second))
    }
}

/// Whole seconds since 1970; no price is older.
fn seconds(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs()
}
