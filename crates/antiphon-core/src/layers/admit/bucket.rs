//! One dimension of a quota: a bucket that paces, and a window that proves.
//!
//! A token bucket alone keeps the average, but a request larger than the bucket leaves a debt, and what was borrowed
//! before a limit was known is not in it. So each dimension also remembers the last minute, and nothing passes that
//! would take any 60 s above the limit.

use std::time::Duration;

use crate::Moment;

/// The minute that every provider's limit speaks of.
const MINUTE: Duration = Duration::from_secs(60);
/// Width of a slot of the window: its cost leaves when its *last* instant is a minute old, so up to this much late.
const SLOT: Duration = Duration::from_millis(100);
/// Slots that can hold cost of the last minute: 600 whole ones and the one that is filling.
const SLOTS: usize = (MINUTE.as_millis() / SLOT.as_millis()) as usize + 1;

/// Cost of the last minute in slots. Costs are whole numbers, so the sum never drifts.
#[derive(Debug)]
struct Window {
    slots: Vec<u64>,
    newest: u64,
    total: u64,
}

impl Window {
    fn new() -> Self {
        Self {
            slots: vec![0; SLOTS],
            newest: 0,
            total: 0,
        }
    }

    fn advance(&mut self, now: Moment) {
        let slot = slot_of(now);
        if slot <= self.newest {
            return;
        }
        if slot - self.newest >= SLOTS as u64 {
            self.slots.fill(0);
            self.total = 0;
        } else {
            for expired in self.newest + 1..=slot {
                let cell = &mut self.slots[expired as usize % SLOTS];
                self.total -= std::mem::take(cell);
            }
        }
        self.newest = slot;
    }

    fn add(&mut self, cost: u64) {
        self.slots[self.newest as usize % SLOTS] += cost;
        self.total += cost;
    }

    /// Gives cost back to the slot it came from, if that is still remembered.
    fn give_back(&mut self, slot: u64, cost: u64) {
        if slot <= self.newest && self.newest - slot < SLOTS as u64 {
            let cell = &mut self.slots[slot as usize % SLOTS];
            let back = cost.min(*cell);
            *cell -= back;
            self.total -= back;
        }
    }

    /// When the total will have fallen to `most` if nothing is added.
    fn falls_to(&self, most: u64) -> Moment {
        let mut left = self.total;
        let oldest = (self.newest + 1).saturating_sub(SLOTS as u64);
        for slot in oldest..=self.newest {
            left -= self.slots[slot as usize % SLOTS];
            if left <= most {
                return start_of(slot + SLOTS as u64);
            }
        }
        start_of(self.newest + SLOTS as u64)
    }
}

fn slot_of(now: Moment) -> u64 {
    (now.since_start().as_nanos() / SLOT.as_nanos()) as u64
}

fn start_of(slot: u64) -> Moment {
    let millis = slot.saturating_mul(SLOT.as_millis() as u64);
    Moment::after_start(Duration::from_millis(millis))
}

/// A limit per minute in one dimension.
#[derive(Debug)]
pub(super) struct Bucket {
    limit: Option<f64>,
    level: f64,
    filled: Moment,
    window: Window,
}

impl Bucket {
    pub(super) fn new(limit: Option<f64>) -> Self {
        Self {
            limit,
            level: limit.map_or(0.0, burst),
            filled: Moment::ZERO,
            window: Window::new(),
        }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// The limit per minute, where there is one.
    pub(super) fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// Sets the limit; the first one finds a full bucket and a window that remembers what went before.
    pub(super) fn set_limit(&mut self, limit: f64, now: Moment) {
        self.fill(now);
        self.level = match self.limit {
            None => burst(limit),
            Some(_) => self.level.min(burst(limit)),
        };
        self.limit = Some(limit);
    }

    /// The provider says that only this much is left. It may know of other users of the account, never of requests
    /// that are still on their way to it, so its word can lower the level and not raise it.
    pub(super) fn lower(&mut self, remaining: f64, now: Moment) {
        self.fill(now);
        self.level = self.level.min(remaining);
    }

    /// When a request of this cost may pass, if not now.
    ///
    /// A request larger than the bucket waits for a full one; a request larger than the limit for an empty window too.
    pub(super) fn wait(&mut self, cost: u64, now: Moment) -> Option<Moment> {
        let limit = self.limit?;
        if cost == 0 {
            return None;
        }
        self.fill(now);
        let needed = (cost as f64).min(burst(limit));
        let paced = (self.level + 1e-6 < needed).then(|| {
            let seconds = (needed - self.level) / pace(limit);
            now + Duration::from_secs_f64(seconds) + Duration::from_micros(1)
        });
        let room = (limit as u64).saturating_sub(cost);
        let proven = (self.window.total > room).then(|| self.window.falls_to(room));
        paced.max(proven)
    }

    /// Takes the cost; gives the slot it was taken in.
    pub(super) fn take(&mut self, cost: u64, now: Moment) -> u64 {
        self.fill(now);
        self.window.add(cost);
        self.charge(cost, 0);
        self.window.newest
    }

    /// Replaces a reserved cost by the real one. What was too much returns to where it was taken from, what was too
    /// little is taken now.
    pub(super) fn settle(&mut self, slot: u64, reserved: u64, real: u64, now: Moment) {
        self.fill(now);
        self.charge(real, reserved);
        if real > reserved {
            self.window.add(real - reserved);
        } else {
            self.window.give_back(slot, reserved - real);
        }
    }

    fn fill(&mut self, now: Moment) {
        self.window.advance(now);
        if let Some(limit) = self.limit {
            let gained = now.since(self.filled).as_secs_f64() * pace(limit);
            self.level = (self.level + gained).min(burst(limit));
        }
        self.filled = self.filled.max(now);
    }

    /// Lowers the level by `cost` and raises it by `back`. The debt ends at one minute's worth: the window
    /// holds the minute anyway, and a wild estimate must not stop the account for an hour.
    fn charge(&mut self, cost: u64, back: u64) {
        if let Some(limit) = self.limit {
            let change = (back as f64).min(limit) - (cost as f64).min(limit);
            self.level = (self.level + change).clamp(-limit, burst(limit));
        }
    }
}

/// Seconds from the start that a limit per minute takes for a load of many calls: the first second's worth passes at once.
pub fn seconds_for(load: f64, limit: f64) -> f64 {
    (load - burst(limit)).max(0.0) / pace(limit)
}

/// The most that passes at once: what one second of the limit allows.
fn burst(limit: f64) -> f64 {
    limit / 60.0
}

/// Refill per second, such that a minute of it and one burst make the limit exactly.
fn pace(limit: f64) -> f64 {
    (limit - burst(limit)) / 60.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::after_start(Duration::from_millis(millis))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        /// What was taken and given back leaves no trace, and what was used is counted once.
        #[test]
        fn nothing_is_lost_or_invented(
            calls in prop::collection::vec((1..500_u64, 0..1000_u64), 1..60),
        ) {
            let mut bucket = Bucket::new(Some(1e9));
            let full = bucket.level;
            let mut used = 0;
            let taken: Vec<_> = calls
                .iter()
                .map(|(reserved, _)| bucket.take(*reserved, at(0)))
                .collect();
            for ((reserved, real), slot) in calls.into_iter().zip(taken) {
                bucket.settle(slot, reserved, real, at(0));
                used += real;
            }
            prop_assert_eq!(bucket.window.total, used);
            prop_assert!((full - bucket.level - used as f64).abs() < 1e-3);
            bucket.fill(at(60_100));
            prop_assert_eq!(bucket.window.total, 0);
        }
    }

    #[test]
    fn a_load_passes_in_the_time_that_is_told() {
        for (calls, limit) in [(1_500_u32, 6_000.0), (30, 500.0), (100, 6_000.0)] {
            let mut bucket = Bucket::new(Some(limit));
            let mut now = at(0);
            for _ in 0..calls {
                now = bucket.wait(1, now).unwrap_or(now);
                bucket.take(1, now);
            }
            let took = now.since_start().as_secs_f64();
            let told = seconds_for(f64::from(calls), limit);
            assert!((took - told).abs() < 0.01, "{calls}: {took} {told}");
        }
    }

    #[test]
    fn a_request_above_the_limit_waits_for_an_empty_window_and_passes_alone() {
        let mut bucket = Bucket::new(Some(600.0));
        bucket.take(1, at(0));
        assert_eq!(bucket.wait(5000, at(10)), Some(at(60_100)));
        assert_eq!(bucket.wait(5000, at(60_100)), None);
        bucket.take(5000, at(60_100));
        assert!(bucket.wait(1, at(61_000)) >= Some(at(120_200)));
    }

    #[test]
    fn the_providers_rest_lowers_the_level_and_never_raises_it() {
        let mut bucket = Bucket::new(Some(6000.0));
        bucket.lower(1e6, at(0));
        assert_eq!(bucket.wait(100, at(0)), None);
        bucket.lower(0.0, at(0));
        assert!(bucket.wait(1, at(0)).is_some());
    }

    #[test]
    fn a_limit_learned_late_knows_what_went_before() {
        let mut bucket = Bucket::new(None);
        assert_eq!(bucket.wait(1000, at(0)), None);
        bucket.take(1000, at(0));
        bucket.set_limit(1000.0, at(500));
        assert_eq!(bucket.wait(1, at(500)), Some(at(60_100)));
    }
}
