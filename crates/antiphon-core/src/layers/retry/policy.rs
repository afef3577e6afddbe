//! The judgement of [`Retry`](super::Retry): whether and when, never how.

use std::time::Duration;

use crate::{Advice, Error};

/// Back-offs in front of a caller who waits begin with this bound and double...
const CALLERS_BASE: Duration = Duration::from_millis(250);
/// ...up to this one: four tries take 0.9 s on average and 1.75 s at most beside the attempts themselves.
const CALLERS_CAP: Duration = Duration::from_secs(2);

/// The server's own delay is stretched by up to this part of it, and by no more than this time, so that those who heard
/// the same delay do not come back in the same instant. Never shortened: the server knows.
const STRETCH: f64 = 0.1;
const MOST_STRETCH: Duration = Duration::from_secs(1);

/// How often and how soon a failed attempt is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// Upper bound of the first back-off; doubles with each retry.
    pub base: Duration,
    /// Upper bound of every back-off.
    pub cap: Duration,
    /// Retries after an attempt that ran into a time limit: so much time is lost by then that another model may be the
    /// better choice. `None`: `max_retries`.
    pub slow_retries: Option<u32>,
    /// The longest that all delays of a call may last together, for calls whose caller waits. They do not wait for the
    /// retry budget either: where it is empty, or the endpoint is down, the failure is final. `None`: each delay up to
    /// the account's longest, and as long as the budget takes.
    pub patience: Option<Duration>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_retries: 2,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(60),
            slow_retries: None,
            patience: None,
        }
    }
}

impl RetryConfig {
    /// Retries of calls whose caller waits, and not for longer than this beside the attempts.
    pub fn for_callers(patience: Duration) -> Self {
        Self {
            base: CALLERS_BASE,
            cap: CALLERS_CAP,
            patience: Some(patience),
            ..Self::default()
        }
    }
}

/// What to do about a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The error is final.
    Final,
    /// The server asks for a longer delay than anybody wants to wait.
    TooLong,
    /// Again, after this delay.
    Again(Duration),
}

impl RetryConfig {
    /// Judges a failure after `failures` earlier ones that count; `chance` is from 0 to 1.
    ///
    /// The back-off is "full jitter", anything from 0 to the exponential bound (Marc Brooker, "Exponential Backoff
    /// And Jitter", AWS Architecture Blog, 2015): of the ways compared there, it makes the fewest calls.
    pub(crate) fn judge(
        &self,
        error: &Error,
        failures: u32,
        max_wait: Duration,
        chance: f64,
    ) -> Verdict {
        let delay = match error.advice() {
            Advice::Elsewhere | Advice::Never => return Verdict::Final,
            Advice::RetryAfter(told) if told > max_wait => return Verdict::TooLong,
            Advice::RetryAfter(told) => {
                let stretch = told.mul_f64(STRETCH).min(MOST_STRETCH);
                told.saturating_add(stretch.mul_f64(chance))
            }
            Advice::Retry => {
                let bound = self
                    .base
                    .saturating_mul(1 << failures.min(30))
                    .min(self.cap);
                bound.mul_f64(chance)
            }
        };
        if failures >= self.retries_after(error) {
            return Verdict::Final;
        }
        Verdict::Again(delay)
    }

    /// How often a call may be made again that fails like this.
    fn retries_after(&self, error: &Error) -> u32 {
        match self.slow_retries {
            Some(slow) if error.phase().is_some() => slow.min(self.max_retries),
            _ => self.max_retries,
        }
    }

    /// Judges a failure that is an outage of the endpoint: it is not counted, and admission says when the next probe
    /// may go, so there is no back-off of its own.
    pub(super) fn judge_excused(error: &Error, max_wait: Duration) -> Verdict {
        match error.advice() {
            Advice::Elsewhere | Advice::Never => Verdict::Final,
            Advice::RetryAfter(told) if told > max_wait => Verdict::TooLong,
            Advice::RetryAfter(told) => Verdict::Again(told),
            Advice::Retry => Verdict::Again(Duration::ZERO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const MAX_WAIT: Duration = Duration::from_secs(300);

    fn judge(error: &Error, failures: u32, chance: f64) -> Verdict {
        let config = RetryConfig {
            max_retries: 10,
            ..RetryConfig::default()
        };
        config.judge(error, failures, MAX_WAIT, chance)
    }

    fn failed() -> Error {
        Error::new(ErrorKind::ServerError, "x").with_status(500)
    }

    #[test]
    fn the_back_off_doubles_up_to_its_cap_with_full_jitter() {
        let bounds = [
            500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000,
        ];
        for (failures, bound) in (0..).zip(bounds) {
            let bound = Duration::from_millis(bound);
            assert_eq!(judge(&failed(), failures, 1.0), Verdict::Again(bound));
            assert_eq!(judge(&failed(), failures, 0.5), Verdict::Again(bound / 2));
            assert_eq!(
                judge(&failed(), failures, 0.0),
                Verdict::Again(Duration::ZERO)
            );
        }
        assert_eq!(judge(&failed(), 10, 0.5), Verdict::Final);
    }

    #[test]
    fn the_servers_delay_wins_and_is_never_shortened() {
        let told = |seconds| failed().with_retry_after(Some(Duration::from_secs(seconds)));
        let again = |millis| Verdict::Again(Duration::from_millis(millis));
        assert_eq!(judge(&told(4), 7, 0.0), again(4000));
        assert_eq!(judge(&told(4), 7, 1.0), again(4400));
        assert_eq!(judge(&told(300), 0, 1.0), again(301_000));
        assert_eq!(judge(&told(301), 0, 0.5), Verdict::TooLong);
    }

    #[test]
    fn what_cannot_succeed_is_not_tried_again() {
        for kind in [ErrorKind::BadRequest, ErrorKind::Auth, ErrorKind::Stopped] {
            assert_eq!(judge(&Error::new(kind, "x"), 0, 0.5), Verdict::Final);
        }
        let told = failed().with_should_retry(Some(false));
        assert_eq!(judge(&told, 0, 0.5), Verdict::Final);
    }

    #[test]
    fn a_time_limit_may_allow_fewer_retries() {
        let config = RetryConfig {
            max_retries: 3,
            slow_retries: Some(0),
            ..RetryConfig::default()
        };
        let slow = Error::timeout(crate::Phase::FirstByte, Duration::ZERO);
        assert_eq!(config.judge(&slow, 0, MAX_WAIT, 0.5), Verdict::Final);
        assert_ne!(config.judge(&failed(), 2, MAX_WAIT, 0.5), Verdict::Final);
        // a 408 of the server came in time
        let told = Error::new(ErrorKind::Timeout, "x").with_status(408);
        assert_ne!(config.judge(&told, 2, MAX_WAIT, 0.5), Verdict::Final);
    }

    #[test]
    fn an_outage_costs_no_retry_and_no_back_off() {
        let verdict = RetryConfig::judge_excused(&failed(), MAX_WAIT);
        assert_eq!(verdict, Verdict::Again(Duration::ZERO));
    }
}
