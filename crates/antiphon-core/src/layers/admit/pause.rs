//! The pause: one worker's "too many requests" slows every worker of the account.

use std::time::Duration;

use crate::Moment;

/// Pause after the first burst of rate limits that came without a delay; it doubles with each burst in a row.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(16);
/// The longest of these where callers wait: each of them meets it, and may meet it again before each of its tries.
const LONGEST_OF_CALLERS: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Pause {
    longest: Duration,
    until: Option<Moment>,
    bursts: u32,
}

impl Pause {
    pub(super) fn new(for_callers: bool) -> Self {
        Self {
            longest: if for_callers {
                LONGEST_OF_CALLERS
            } else {
                LONGEST
            },
            until: None,
            bursts: 0,
        }
    }

    /// The end of the pause, if there is one now.
    pub(super) fn until(&self, now: Moment) -> Option<Moment> {
        self.until.filter(|until| *until > now)
    }

    /// The server named the delay.
    pub(super) fn told(&mut self, delay: Duration, now: Moment) {
        self.until = self.until.max(Some(now + delay));
    }

    /// A burst of rate limits began, and the server named no delay.
    pub(super) fn burst(&mut self, now: Moment) {
        let factor = 1_u32 << self.bursts.min(16);
        self.bursts = self.bursts.saturating_add(1);
        self.told((FIRST * factor).min(self.longest), now);
    }

    pub(super) fn succeeded(&mut self) {
        self.bursts = 0;
    }
}
