//! What counts as an outage of an endpoint, and when it is asked again.
//!
//! A job and a gateway need different numbers. A job has thousands of calls at hand and can hold them back, so it
//! looks carefully, and before it believes in an address at all. Behind a gateway there may be one caller at a time, who
//! waits: a few failures must do, and what is wrongly taken for an outage costs half a second with another model.

use std::time::Duration;

/// When failures are an outage, and how often an endpoint that is down is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutageConfig {
    /// Failures to connect.
    pub connection: InARow,
    /// Connections without a good answer.
    pub server: InARow,
    /// Different calls that must have failed: a single poisonous request is no outage.
    pub calls: usize,
    /// Whether an address that never answered is in doubt from its first failure on.
    pub doubts_first: bool,
    /// The first probe's delay; it doubles with each probe that fails...
    pub first_probe: Duration,
    /// ...up to this one.
    pub longest_probe: Duration,
    /// How long a probe that has not come back keeps others from being sent. `None`: as long as it is out.
    pub longest_try: Option<Duration>,
    /// What becomes of calls meanwhile.
    pub when_down: WhenDown,
}

/// How many failures without a success in between are an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InARow {
    /// So many...
    pub failures: u32,
    /// ...if the first was this long ago: where a third of all calls fail at random, three in a row are soon found.
    pub lasting: Duration,
    /// So many at once.
    pub at_once: u32,
}

/// What becomes of calls while their endpoint is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDown {
    /// They wait, and one after the other is the probe.
    Wait,
    /// They fail at once, unless they are the probe: another model, or the caller, knows better than to wait.
    Refuse,
}

impl Default for OutageConfig {
    /// The numbers for jobs.
    fn default() -> Self {
        Self {
            connection: InARow {
                failures: 3,
                lasting: Duration::from_millis(500),
                at_once: 8,
            },
            server: InARow {
                failures: 4,
                lasting: Duration::from_secs(3),
                at_once: 16,
            },
            calls: 3,
            doubts_first: true,
            first_probe: Duration::from_millis(500),
            longest_probe: Duration::from_secs(5),
            longest_try: None,
            when_down: WhenDown::Wait,
        }
    }
}

impl OutageConfig {
    /// The numbers for callers who wait. Two of them are enough to tell: one fails with all its tries, and at the next
    /// one's first failure the endpoint is down. A probe that hangs holds up no other one for longer than 10 s, and
    /// none is more than 12 s away, so an endpoint that is well again serves again within 15 s.
    pub fn for_callers() -> Self {
        let in_a_row = |at_once| InARow {
            failures: 3,
            lasting: Duration::from_millis(500),
            at_once,
        };
        Self {
            connection: in_a_row(8),
            server: in_a_row(16),
            calls: 2,
            doubts_first: false,
            longest_probe: Duration::from_secs(10),
            longest_try: Some(Duration::from_secs(10)),
            when_down: WhenDown::Refuse,
            ..Self::default()
        }
    }

    /// Doubles with each failed probe, ±20 % so that several machines do not knock together.
    pub(super) fn probe_delay(&self, failed: u32, chance: f64) -> Duration {
        let delay = self.first_probe.saturating_mul(1 << failed.min(8));
        delay.min(self.longest_probe).mul_f64(0.8 + 0.4 * chance)
    }
}
