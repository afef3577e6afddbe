//! The last ten minutes, second by second.

use std::time::Duration;

use antiphon::core::Moment;

use super::counts::Counts;

/// Seconds that are told of.
pub(super) const WINDOW: u64 = 600;
/// Seconds that are kept: steps of up to a minute begin before the window does.
const KEPT: u64 = WINDOW + 60;
/// Seconds over which the rate of now is taken.
const NOW: u64 = 10;

/// What happened in one second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Second {
    number: u64,
    /// Calls that came.
    pub(super) came: u64,
    /// Calls that ended.
    pub(super) counts: Counts,
}

/// A ring of seconds.
#[derive(Debug)]
pub(super) struct Seconds(Vec<Second>);

impl Seconds {
    pub(super) fn new() -> Self {
        Self(vec![Second::default(); KEPT as usize])
    }

    /// The second of a moment, to count in.
    pub(super) fn at(&mut self, now: Moment) -> &mut Second {
        let number = number(now);
        let second = &mut self.0[(number % KEPT) as usize];
        if second.number != number {
            *second = Second {
                number,
                ..Second::default()
            };
        }
        second
    }

    /// What happened from one second (inclusive) to another (exclusive).
    fn sum(&self, from: u64, to: u64) -> Second {
        let mut sum = Second::default();
        for number in from..to {
            let second = &self.0[(number % KEPT) as usize];
            if second.number == number {
                sum.came += second.came;
                sum.counts += second.counts;
            }
        }
        sum
    }

    /// The last ten minutes.
    pub(super) fn window(&self, now: Moment) -> Second {
        let to = number(now) + 1;
        self.sum(to.saturating_sub(WINDOW), to)
    }

    /// The ten minutes in steps of so many seconds, of which a minute is a multiple. The step that goes on is the last
    /// one, or is left out.
    pub(super) fn steps(&self, length: u64, now: Moment, with_open: bool) -> Vec<Second> {
        let steps = WINDOW / length;
        let last = number(now) / length + u64::from(with_open);
        let step = |step: u64| match step.checked_sub(steps) {
            Some(step) => self.sum(step * length, (step + 1) * length),
            // before the clock began
            None => Second::default(),
        };
        (last..last + steps).map(step).collect()
    }

    /// Calls a second now: over the last ten whole seconds, or over all there were so far.
    pub(super) fn rate(&self, now: Moment) -> f64 {
        let to = number(now);
        let seconds = to.min(NOW);
        match seconds {
            0 => self.sum(0, 1).came as f64,
            _ => self.sum(to - seconds, to).came as f64 / seconds as f64,
        }
    }

    /// Calls that came in the last minute.
    pub(super) fn last_minute(&self, now: Moment) -> u64 {
        let to = number(now) + 1;
        self.sum(to.saturating_sub(60), to).came
    }
}

fn number(now: Moment) -> u64 {
    now.since_start().as_secs()
}

/// How long the gateway has been up.
pub(super) fn uptime(now: Moment) -> Duration {
    now.since_start()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn the_rate_is_that_of_the_last_ten_whole_seconds() {
        let mut seconds = Seconds::new();
        seconds.at(at(0)).came += 3;
        assert!((seconds.rate(at(0)) - 3.0).abs() < 1e-9);
        assert!((seconds.rate(at(2)) - 1.5).abs() < 1e-9);
        for second in 100..120 {
            seconds.at(at(second)).came += 7;
        }
        assert!((seconds.rate(at(120)) - 7.0).abs() < 1e-9);
        assert!((seconds.rate(at(125)) - 3.5).abs() < 1e-9);
        assert!(seconds.rate(at(130)).abs() < 1e-9);
        assert_eq!(seconds.last_minute(at(130)), 140);
        assert_eq!(seconds.last_minute(at(100_000)), 0);
    }

    #[test]
    fn steps_stand_still_while_time_goes_on() {
        let mut seconds = Seconds::new();
        seconds.at(at(1_003)).came += 1;
        let place = |now, with_open| {
            let steps = seconds.steps(5, at(now), with_open);
            assert_eq!(steps.len(), 120);
            steps.iter().position(|step| step.came == 1)
        };
        assert_eq!(place(1_004, false), None);
        assert_eq!(place(1_004, true), Some(119));
        assert_eq!(place(1_005, false), Some(119));
        assert_eq!(place(1_009, false), Some(119));
        assert_eq!(place(1_010, false), Some(118));
        assert_eq!(place(1_600, false), Some(0));
        assert_eq!(place(1_605, false), None);
        let minutes = seconds.steps(60, at(1_019), true);
        assert_eq!(minutes.len(), 10);
        assert_eq!(minutes[9].came, 1);
    }

    proptest! {
        #[test]
        fn nothing_is_counted_twice_or_lost(
            moments in prop::collection::vec(0_u64..3_000, 0..80), ahead in 0_u64..700
        ) {
            let mut moments = moments;
            moments.sort_unstable();
            let mut seconds = Seconds::new();
            for second in &moments {
                seconds.at(at(*second)).came += 1;
            }
            let now = moments.last().copied().unwrap_or(0) + ahead;
            let since = |from: u64| moments.iter().filter(|s| **s >= from).count() as u64;
            prop_assert_eq!(seconds.window(at(now)).came, since((now + 1).saturating_sub(WINDOW)));
            for length in [1, 5, 10, 60] {
                let open = (now / length + 1) * length;
                let came: u64 = seconds.steps(length, at(now), true).iter().map(|s| s.came).sum();
                prop_assert_eq!(came, since(open.saturating_sub(WINDOW)));
            }
        }
    }
}
