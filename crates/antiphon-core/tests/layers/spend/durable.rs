//! What outlives the process, and clocks.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use antiphon_core::{
    BoxFuture, Clock, Dice, Error, ErrorKind, Moment, SystemClock, Usd,
    layers::{
        admit::{Account, AccountConfig},
        meter::Metrics,
        spend::{BudgetConfig, Budgets, Vault},
    },
    stack::stack,
};
use tokio::sync::Notify;

use super::{COST, books, capped, config, hold, paid, picos, request};
use crate::scripted::{Scripted, error, ready, settle};

/// A disk that takes its time.
#[derive(Debug, Default)]
struct Disk {
    written: Mutex<Vec<Usd>>,
    goes: Notify,
    fails: AtomicBool,
}

#[derive(Debug)]
struct OnDisk(Arc<Disk>);

impl Vault for OnDisk {
    fn keep(&self, ceiling: Usd) -> BoxFuture<'static, Result<(), Error>> {
        let disk = Arc::clone(&self.0);
        Box::pin(async move {
            disk.goes.notified().await;
            if disk.fails.load(SeqCst) {
                return Err(error(ErrorKind::Ledger));
            }
            disk.written.lock().unwrap().push(ceiling);
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_ceiling_is_on_disk() {
    let disk = Arc::new(Disk::default());
    let budget = Budgets::new().open(BudgetConfig {
        cap: Some(picos(100 * hold())),
        spent: picos(7),
        vault: Some(Arc::new(OnDisk(Arc::clone(&disk)))),
        ..BudgetConfig::default()
    });
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let bench = paid(leaf.clone(), &budget);
    let calls = bench.start(2);
    settle().await;
    assert_eq!((leaf.calls(), books(&budget)), (0, (7, 0, 0)));
    disk.goes.notify_one();
    settle().await;
    // one write for the first, which was alone, and one for the other
    assert_eq!(leaf.calls(), 1);
    disk.goes.notify_one();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(leaf.calls(), 2);
    let ceilings = disk.written.lock().unwrap().clone();
    assert!(ceilings.iter().all(|ceiling| *ceiling >= picos(7 + COST)));
    // at the end the truth takes the place of the ceiling
    disk.goes.notify_one();
    budget.close().await.unwrap();
    assert_eq!(
        disk.written.lock().unwrap().last(),
        Some(&picos(7 + 2 * COST))
    );
}

#[tokio::test(start_paused = true)]
async fn a_ceiling_that_cannot_be_written_stops_the_job() {
    let disk = Arc::new(Disk::default());
    disk.fails.store(true, SeqCst);
    disk.goes.notify_one();
    let budget = Budgets::new().open(BudgetConfig {
        cap: Some(picos(100 * hold())),
        vault: Some(Arc::new(OnDisk(disk))),
        ..BudgetConfig::default()
    });
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let error = paid(leaf.clone(), &budget)
        .model
        .ask(request())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), leaf.calls()), (ErrorKind::Ledger, 0));
    assert_eq!(books(&budget), (0, 0, 0));
}

/// A clock whose wall time is far earlier each time it is read.
#[derive(Debug)]
struct Backwards(Arc<dyn Clock>, Mutex<SystemTime>);

impl Clock for Backwards {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn wall(&self) -> SystemTime {
        let mut wall = self.1.lock().unwrap();
        *wall -= Duration::from_secs(365 * 24 * 3600);
        *wall
    }

    fn sleep_until(&self, moment: Moment) -> BoxFuture<'static, ()> {
        self.0.sleep_until(moment)
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_backwards_changes_nothing() {
    let budget = capped(hold() + 2 * COST);
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let clock = Arc::new(Backwards(
        SystemClock::shared(),
        Mutex::new(SystemTime::now()),
    ));
    let account = Account::new(AccountConfig::default(), clock, Arc::new(Dice::seeded(7)));
    let model = stack(leaf, &config(&budget), &account, &Metrics::new());
    for answered in 1..=3 {
        model.ask(request()).await.unwrap();
        assert_eq!(books(&budget), (answered * COST, 0, 0));
    }
    let error = model.ask(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Budget);
}
