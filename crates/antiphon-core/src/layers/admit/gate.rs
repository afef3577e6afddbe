//! The gate: how many calls may be out at once.
//!
//! Without a word from the user the right number is unknown, so it is looked for as TCP looks for its window
//! (RFC 5681): a small start, one more for each success, half of it when the provider says "too many", then fast back
//! to nine tenths of where that happened and slowly beyond.

use std::num::NonZeroU32;

/// Calls out before the first success: a wrong key or a wrong address burns no more than these.
const FIRST_CALLS: u32 = 8;
/// The most without a word from the user.
const MOST_CALLS: u32 = 256;
/// The same where callers wait: that so many come is their own say, and a server in front of them bounds it.
const MOST_CALLERS: u32 = 8192;
/// Part of the number at which the provider last said "too many" that is regained quickly.
const REGAINED: f64 = 0.9;

#[derive(Debug)]
pub(super) struct Gate {
    most: u32,
    /// Calls that go out before anything is known.
    first: u32,
    limit: f64,
    /// Up to here each success adds a call; above, a whole round of successes does.
    quick_until: f64,
    in_flight: u32,
    /// Calls with a lower number were sent before the last halving and do not halve again.
    halved_before: u64,
}

impl Gate {
    /// A gate for a job, which has all its calls at hand, or for callers who wait: theirs begins wide.
    pub(super) fn new(most: Option<NonZeroU32>, for_callers: bool) -> Self {
        let (usual, first) = match for_callers {
            true => (MOST_CALLERS, u32::MAX),
            false => (MOST_CALLS, FIRST_CALLS),
        };
        let most = most.map_or(usual, NonZeroU32::get);
        Self {
            most,
            first,
            limit: f64::from(most.min(first)),
            quick_until: f64::from(most),
            in_flight: 0,
            halved_before: 0,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.limit()
    }

    pub(super) fn enter(&mut self) {
        self.in_flight += 1;
    }

    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn succeeded(&mut self) {
        let step = if self.limit < self.quick_until {
            1.0
        } else {
            1.0 / self.limit
        };
        self.limit = (self.limit + step).min(f64::from(self.most));
    }

    /// Call number `call` met a rate limit, `next` being the number of the next call. True if that begins a new burst.
    pub(super) fn rate_limited(&mut self, call: u64, next: u64) -> bool {
        if call < self.halved_before {
            return false;
        }
        self.halved_before = next;
        if self.first > FIRST_CALLS {
            // a gate that began wide says nothing of what the provider bears; what was out when it refused does. Few
            // were, perhaps, and a crowd may come: it opens again as quickly as answers come
            let out = self.in_flight.saturating_add(1);
            let half = (self.limit.min(f64::from(out)) / 2.0).floor();
            self.limit = half.max(f64::from(FIRST_CALLS.min(self.most)));
            return true;
        }
        self.quick_until = (self.limit * REGAINED).floor();
        self.limit = (self.limit / 2.0).floor().max(1.0);
        true
    }

    /// After an outage the calls of thousands of rows would come back at once: begin small again.
    pub(super) fn start_over(&mut self) {
        self.limit = self.limit.min(f64::from(self.first));
    }

    /// Calls that may be out at once now.
    pub(super) fn limit(&self) -> u32 {
        self.limit as u32
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn most(&self) -> u32 {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_for_callers_begins_wide_and_learns_from_what_was_out() {
        let mut gate = Gate::new(None, true);
        for _ in 0..100 {
            assert!(gate.has_room());
            gate.enter();
        }
        gate.leave();
        assert!(gate.rate_limited(40, 100));
        assert_eq!(gate.limit(), 50, "half of those that were out");
        assert!(!gate.rate_limited(41, 100), "the same burst");
        // a lonely call that is refused does not close it to the crowd that comes next
        for _ in 0..99 {
            gate.leave();
        }
        gate.enter();
        gate.leave();
        assert!(gate.rate_limited(100, 101));
        assert_eq!(gate.limit(), 8);
        for _ in 0..92 {
            gate.succeeded();
        }
        assert_eq!(gate.limit(), 100);
        gate.start_over();
        assert_eq!(
            gate.limit(),
            100,
            "callers are no rows that come back at once"
        );
    }

    #[test]
    fn the_users_word_bounds_it() {
        let most = NonZeroU32::new(3);
        let mut gate = Gate::new(most, true);
        assert_eq!((gate.limit(), gate.most()), (3, 3));
        gate.enter();
        assert!(gate.rate_limited(0, 1));
        assert_eq!(gate.limit(), 3);
        assert_eq!(Gate::new(most, false).limit(), 3);
        assert_eq!(Gate::new(None, false).limit(), FIRST_CALLS);
    }
}
