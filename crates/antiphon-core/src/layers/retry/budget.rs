//! The retry budget: how much of an account's traffic may be retries.
//!
//! A maximum per call does not bound the whole: when everything fails, ten retries each make eleven times the load, at
//! the moment when the provider can bear it least. A budget bounds the ratio: each success deposits half a retry
//! (Finagle's `RetryBudget`, which tower took over). Theirs *refuses* when it is empty; a row of a job must not fail
//! because others did, so this one *delays*, and a small floor of income keeps it moving when nothing succeeds.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::{Clock, Moment};

/// What a success deposits; a retry costs 1.
const DEPOSIT: f64 = 0.5;
/// Retries that may be made before the first success.
const INITIAL: f64 = 10.0;
/// The most that is saved up: a long good time must not pay for a storm.
const MOST: f64 = 100.0;
/// Retries per second that are always possible.
const FLOOR: f64 = 1.0;

/// The balance as of some moment.
#[derive(Debug)]
struct Balance {
    retries: f64,
    as_of: Moment,
}

impl Balance {
    fn accrue(&mut self, now: Moment) {
        let gained = now.since(self.as_of).as_secs_f64() * FLOOR;
        self.retries = (self.retries + gained).min(MOST);
        self.as_of = self.as_of.max(now);
    }

    fn deposit(&mut self, now: Moment) {
        self.accrue(now);
        self.retries = (self.retries + DEPOSIT).min(MOST);
    }

    /// Takes a retry, or says when there will be one if nobody deposits.
    fn take(&mut self, now: Moment) -> Result<(), Moment> {
        self.accrue(now);
        if self.retries + 1e-6 >= 1.0 {
            self.retries -= 1.0;
            return Ok(());
        }
        let missing = std::time::Duration::from_secs_f64((1.0 - self.retries) / FLOOR);
        Err(now + missing)
    }
}

/// The budget, shared by the calls of an account.
#[derive(Debug)]
pub(in crate::layers) struct Budget {
    clock: Arc<dyn Clock>,
    balance: Mutex<Balance>,
    /// Retries wait in line for the balance; only the first one looks at it.
    turn: tokio::sync::Mutex<()>,
    deposited: Notify,
}

impl Budget {
    pub(in crate::layers) fn new(clock: Arc<dyn Clock>) -> Self {
        let as_of = clock.now();
        Self {
            clock,
            balance: Mutex::new(Balance {
                retries: INITIAL,
                as_of,
            }),
            turn: tokio::sync::Mutex::new(()),
            deposited: Notify::new(),
        }
    }

    pub(super) fn deposit(&self) {
        self.with_balance(Balance::deposit);
        self.deposited.notify_one();
    }

    /// Waits until a retry can be paid, first in first out, and pays it.
    pub(super) async fn take(&self) {
        let _turn = self.turn.lock().await;
        while let Err(ready) = self.with_balance(Balance::take) {
            tokio::select! {
                () = self.clock.sleep_until(ready) => {}
                () = self.deposited.notified() => {}
            }
        }
    }

    /// Pays a retry if that is possible now.
    pub(super) fn try_take(&self) -> bool {
        self.with_balance(Balance::take).is_ok()
    }

    fn with_balance<R>(&self, act: impl FnOnce(&mut Balance, Moment) -> R) -> R {
        let now = self.clock.now();
        let mut balance = self.balance.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut balance, now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment::after_start(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn two_successes_pay_for_a_retry_and_time_pays_for_one_a_second() {
        let mut balance = Balance {
            retries: 0.0,
            as_of: Moment::ZERO,
        };
        assert_eq!(balance.take(at(0.0)), Err(at(1.0)));
        balance.deposit(at(0.0));
        assert_eq!(balance.take(at(0.0)), Err(at(0.5)));
        balance.deposit(at(0.0));
        assert_eq!(balance.take(at(0.0)), Ok(()));
        assert_eq!(balance.take(at(1.0)), Ok(()));
    }

    #[test]
    fn a_long_good_time_does_not_pay_for_a_storm() {
        let mut balance = Balance {
            retries: INITIAL,
            as_of: Moment::ZERO,
        };
        for _ in 0..10_000 {
            balance.deposit(at(1.0));
        }
        let taken = (0..10_000).take_while(|_| balance.take(at(1e6)).is_ok());
        assert_eq!(taken.count(), MOST as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_budget_delays_in_order_and_fails_nobody() {
        let clock = crate::SystemClock::shared();
        let budget = Arc::new(Budget::new(Arc::clone(&clock)));
        let done = Arc::new(Mutex::new(Vec::new()));
        let retries: Vec<_> = (0..40)
            .map(|index| {
                let (budget, done) = (Arc::clone(&budget), Arc::clone(&done));
                tokio::spawn(async move {
                    budget.take().await;
                    done.lock().unwrap().push(index);
                })
            })
            .collect();
        for retry in retries {
            retry.await.unwrap();
        }
        // ten at once, then one a second
        let waited = clock.now().since_start();
        assert!((Duration::from_secs(30)..Duration::from_secs(31)).contains(&waited));
        assert!(done.lock().unwrap().is_sorted());
    }
}
