//! Requests and tokens per minute, enforced for each account (key and model).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use antiphon_core::{
    Moment,
    chat::{LimitWindow, RateLimits},
};

use crate::{SimConfig, Window};

const MINUTE: Duration = Duration::from_secs(60);
/// Seconds of the limit that a bucket holds.
const BUCKET_SECONDS: f64 = 10.0;

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    Requests,
    Tokens,
}

/// What the limits say to a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// `None` lets the request in; else which limit it met and how long it has to wait.
    pub(crate) wait: Option<(Met, Duration)>,
    /// The limits after the request, as headers tell them.
    pub(crate) told: RateLimits,
}

/// All accounts. Without limits nothing is locked or kept.
#[derive(Debug, Default)]
pub(crate) struct Accounts(RwLock<HashMap<String, Arc<Mutex<Account>>>>);

impl Accounts {
    /// Lets a request in and charges it, or says how long it has to wait; a refused request is not charged.
    pub(crate) fn admit(
        &self,
        account: &str,
        config: &SimConfig,
        now: Moment,
        tokens: u64,
    ) -> Verdict {
        if config.rpm.is_none() && config.tpm.is_none() {
            return Verdict {
                wait: None,
                told: RateLimits::default(),
            };
        }
        let known = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(account)
            .cloned();
        let account = known.unwrap_or_else(|| {
            let mut accounts = self.0.write().unwrap_or_else(PoisonError::into_inner);
            accounts.entry(account.to_owned()).or_default().clone()
        });
        let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
        account.admit(config, now, tokens)
    }

    /// Forgets what was used.
    pub(crate) fn clear(&self) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// What one account has used. Limits can change at run time, so it keeps levels and not allowances.
#[derive(Debug, Default)]
struct Account {
    requests: Bucket,
    tokens: Bucket,
    /// Requests let in during the last minute, with their tokens.
    minute: VecDeque<(Moment, u64)>,
    tokens_in_minute: u64,
}

impl Account {
    fn admit(&mut self, config: &SimConfig, now: Moment, tokens: u64) -> Verdict {
        let wait = match config.window {
            Window::Bucket => self.bucket_wait(config, now, tokens),
            Window::Minute => self.minute_wait(config, now, tokens),
        };
        if wait.is_none() {
            match config.window {
                Window::Bucket => {
                    self.requests.used += 1.0;
                    self.tokens.used += tokens as f64;
                }
                Window::Minute => {
                    self.minute.push_back((now, tokens));
                    self.tokens_in_minute += tokens;
                }
            }
        }
        Verdict {
            wait,
            told: self.told(config, now),
        }
    }

    fn bucket_wait(
        &mut self,
        config: &SimConfig,
        now: Moment,
        tokens: u64,
    ) -> Option<(Met, Duration)> {
        let requests = config.rpm.and_then(|limit| {
            self.requests.refill(limit, now);
            Some((Met::Requests, self.requests.wait(limit, 1.0)?))
        });
        let tokens = config.tpm.and_then(|limit| {
            self.tokens.refill(limit, now);
            Some((Met::Tokens, self.tokens.wait(limit, tokens as f64)?))
        });
        requests
            .into_iter()
            .chain(tokens)
            .max_by_key(|(_, wait)| *wait)
    }

    fn minute_wait(
        &mut self,
        config: &SimConfig,
        now: Moment,
        tokens: u64,
    ) -> Option<(Met, Duration)> {
        while let Some(&(moment, used)) = self.minute.front() {
            if now.since(moment) < MINUTE {
                break;
            }
            self.minute.pop_front();
            self.tokens_in_minute -= used;
        }
        let mut met = None;
        let mut requests_left = self.minute.len() as u64;
        let mut tokens_left = self.tokens_in_minute;
        // the wait is until enough of the oldest requests have left the minute
        for &(moment, used) in &self.minute {
            let over = if config.rpm.is_some_and(|limit| requests_left + 1 > limit) {
                Met::Requests
            } else if config
                .tpm
                .is_some_and(|limit| tokens_left > 0 && tokens_left + tokens > limit)
            {
                Met::Tokens
            } else {
                break;
            };
            requests_left -= 1;
            tokens_left -= used;
            let (first, _) = met.unwrap_or((over, Duration::ZERO));
            met = Some((first, (moment + MINUTE).since(now)));
        }
        met
    }

    fn told(&self, config: &SimConfig, now: Moment) -> RateLimits {
        let told = |limit: Option<u64>, bucket: &Bucket, in_minute: u64| {
            let Some(limit) = limit else {
                return LimitWindow::default();
            };
            let (remaining, reset) = match config.window {
                Window::Bucket => (bucket.left(limit).floor(), bucket.until_full(limit)),
                Window::Minute => {
                    let youngest = self.minute.back().map(|(moment, _)| *moment + MINUTE);
                    let reset = youngest.map_or(Duration::ZERO, |full| full.since(now));
                    (limit as f64 - in_minute as f64, reset)
                }
            };
            LimitWindow {
                limit: Some(limit as f64),
                remaining: Some(remaining.max(0.0)),
                reset: Some(reset),
            }
        };
        RateLimits {
            requests: told(config.rpm, &self.requests, self.minute.len() as u64),
            tokens: told(config.tpm, &self.tokens, self.tokens_in_minute),
            ..RateLimits::default()
        }
    }
}

/// A token bucket, kept as what is used of it.
#[derive(Debug, Default)]
struct Bucket {
    used: f64,
    filled: Moment,
}

impl Bucket {
    fn capacity(limit: u64) -> f64 {
        (limit as f64 / 60.0 * BUCKET_SECONDS).max(1.0)
    }

    fn per_second(limit: u64) -> f64 {
        limit.max(1) as f64 / 60.0
    }

    fn refill(&mut self, limit: u64, now: Moment) {
        let gained = now.since(self.filled).as_secs_f64() * Self::per_second(limit);
        self.used = (self.used - gained).max(0.0);
        self.filled = now;
    }

    fn left(&self, limit: u64) -> f64 {
        Self::capacity(limit) - self.used
    }

    fn until_full(&self, limit: u64) -> Duration {
        Duration::from_secs_f64(self.used / Self::per_second(limit))
    }

    /// How long an amount has to wait. More than the bucket holds is let in when it is full, and leaves a debt.
    fn wait(&self, limit: u64, amount: f64) -> Option<Duration> {
        let missing = amount.min(Self::capacity(limit)) - self.left(limit);
        // even pacing must not fail by the rounding of a division
        (missing > 1e-6).then(|| Duration::from_secs_f64(missing / Self::per_second(limit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment::after_start(Duration::from_secs_f64(seconds))
    }

    fn let_in(accounts: &Accounts, config: &SimConfig, seconds: f64, tokens: u64) -> bool {
        accounts
            .admit("a", config, at(seconds), tokens)
            .wait
            .is_none()
    }

    #[test]
    fn even_pacing_at_the_limit_is_always_let_in() {
        for window in [Window::Bucket, Window::Minute] {
            let config = SimConfig {
                rpm: Some(90),
                tpm: Some(9000),
                window,
                ..SimConfig::default()
            };
            let accounts = Accounts::default();
            let refused = (0..1000)
                .filter(|n| !let_in(&accounts, &config, f64::from(*n) / 1.5, 100))
                .count();
            assert_eq!(refused, 0, "{window}");
        }
    }

    #[test]
    fn twice_the_limit_is_refused_and_keeps_the_limit() {
        for (window, most) in [(Window::Bucket, 60 + 10), (Window::Minute, 60)] {
            let config = SimConfig {
                rpm: Some(60),
                window,
                ..SimConfig::default()
            };
            let accounts = Accounts::default();
            let times = (0..600).map(|n| f64::from(n) / 2.0);
            let admitted: Vec<f64> = times
                .filter(|t| let_in(&accounts, &config, *t, 1))
                .collect();
            let in_window = |start: &f64| {
                admitted
                    .iter()
                    .filter(|t| (*start..start + 60.0).contains(t))
                    .count()
            };
            let peak = admitted.iter().map(in_window).max().unwrap();
            assert!(peak <= most, "{window}: {peak}");
            assert!(admitted.len() >= 290, "{window}: {}", admitted.len());
        }
    }

    #[test]
    fn the_wait_is_just_long_enough() {
        for window in [Window::Bucket, Window::Minute] {
            let config = SimConfig {
                tpm: Some(600),
                window,
                ..SimConfig::default()
            };
            let accounts = Accounts::default();
            assert!(let_in(&accounts, &config, 1.0, 90));
            let verdict = accounts.admit("a", &config, at(1.0), 590);
            let (met, wait) = verdict.wait.unwrap();
            assert_eq!(met, Met::Tokens);
            let later = 1.0 + wait.as_secs_f64();
            assert!(!let_in(&accounts, &config, later - 0.01, 590), "{window}");
            assert!(let_in(&accounts, &config, later + 0.001, 590), "{window}");
        }
    }

    #[test]
    fn accounts_do_not_share_their_limits() {
        let config = SimConfig {
            rpm: Some(1),
            window: Window::Minute,
            ..SimConfig::default()
        };
        let accounts = Accounts::default();
        assert!(accounts.admit("a", &config, at(0.0), 1).wait.is_none());
        assert!(accounts.admit("a", &config, at(0.0), 1).wait.is_some());
        let told = accounts.admit("b", &config, at(0.0), 1).told.requests;
        assert_eq!((told.limit, told.remaining), (Some(1.0), Some(0.0)));
        assert_eq!(told.reset, Some(MINUTE));
    }
}
