//! Days, caps and damage.

use std::{sync::atomic::AtomicU64, time::Duration};

use antiphon::core::{BoxFuture, Moment};

use super::*;

/// A wall clock that is set by hand.
#[derive(Debug, Default)]
struct Wall(AtomicU64);

impl Wall {
    fn set(&self, day: u64) {
        let seconds = day * 24 * 3600 + 60;
        self.0.store(seconds, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Clock for Wall {
    fn now(&self) -> Moment {
        Moment::ZERO
    }
    fn wall(&self) -> SystemTime {
        let seconds = self.0.load(std::sync::atomic::Ordering::Relaxed);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }
    fn sleep_until(&self, _: Moment) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

#[tokio::test]
async fn every_day_has_a_budget_and_a_file_of_its_own() {
    let data = tempfile::tempdir().unwrap();
    let wall = Arc::new(Wall::default());
    wall.set(20_000);
    let name: Arc<str> = "a".into();
    let books = CallerBooks::new(data.path().join("serve"), wall.clone());
    let budget = |books: &CallerBooks| books.budget(&name, usd("5")).unwrap().snapshot();
    assert_eq!(budget(&books).left(), Some(usd("5")));
    assert!(matches!(
        CallerBooks::new(data.path().join("serve"), wall.clone()).open(),
        Err(StateDirError::Busy(_))
    ));
    drop(books);

    // what a process that was killed has left
    let folder = data.path().join("serve").join(FOLDER);
    let today = Day::of(wall.wall());
    let write = |day: Day, text: &str| fs::write(folder.join(day.file_of("a")), text).unwrap();
    write(today, "2000000000000\n");
    write(today.before(KEPT), "1\n");
    write(today.before(KEPT + 1), "1\n");
    let books = CallerBooks::new(data.path().join("serve"), wall.clone());
    assert_eq!(budget(&books).left(), Some(usd("3")));
    assert!(folder.join(today.before(KEPT).file_of("a")).exists());
    assert!(!folder.join(today.before(KEPT + 1).file_of("a")).exists());
    wall.set(20_001);
    assert_eq!(budget(&books).left(), Some(usd("5")));
    // a wall clock that was set back finds the day as it was
    wall.set(20_000);
    assert_eq!(budget(&books).left(), Some(usd("3")));
    books.set_cap(&name, usd("2.5"));
    assert_eq!(budget(&books).left(), Some(usd("0.5")));
    // damage is told, and nothing is granted
    wall.set(20_002);
    write(Day::of(wall.wall()), "two dollars");
    let error = books.budget(&name, usd("5")).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Ledger, UNREADABLE)
    );
    // the operator is told where it is
    let file = Day::of(wall.wall()).file_of("a");
    let error = books.check(&name).unwrap_err();
    assert!(error.message().contains(&file), "{error}");
}

#[tokio::test]
async fn whoever_opens_a_day_opens_it_with_the_cap_in_force() {
    let data = tempfile::tempdir().unwrap();
    let wall = Arc::new(Wall::default());
    wall.set(20_000);
    let name: Arc<str> = "a".into();
    let books = CallerBooks::new(data.path().join("serve"), wall.clone());
    books.set_cap(&name, usd("2"));
    wall.set(20_001);
    // a call that began before the cap was lowered
    let budget = books.budget(&name, usd("5")).unwrap();
    assert_eq!(budget.snapshot().cap, Some(usd("2")));
}

#[tokio::test]
async fn looking_opens_nothing() {
    let data = tempfile::tempdir().unwrap();
    let wall = Arc::new(Wall::default());
    let name: Arc<str> = "a".into();
    let folder = data.path().join("serve");
    let books = CallerBooks::new(folder.clone(), wall.clone());
    assert_eq!(books.look(&name, usd("5")).left(), Some(usd("5")));
    assert!(!folder.exists());
    books.check(&name).unwrap();
    assert!(books.lock().days.is_empty());
    books.set_cap(&name, usd("3"));
    assert_eq!(books.look(&name, usd("5")).left(), Some(usd("3")));
}

#[test]
fn a_refusal_says_what_is_left_and_what_to_do() {
    let words = DayWords {
        name: "a".into(),
        day: Day::of(SystemTime::UNIX_EPOCH),
    };
    let told = |spent: &str, worst: &str| {
        let budget = BudgetSnapshot {
            cap: Some(usd("2")),
            spent: usd(spent),
            ..BudgetSnapshot::default()
        };
        words.explain(&budget, usd(worst))
    };
    assert_eq!(
        told("2", "0.1"),
        "the key \"a\" has used up its $2 of this day; the next day begins at 1970-01-02T00:00:00Z"
    );
    let some_left = told("1.95", "0.1");
    assert!(some_left.contains("$0.05 is left"), "{some_left}");
    assert!(some_left.contains("(max_tokens), send less, or come again at 1970-01-02"));
    assert!(told("0", "3").contains("no day has more"));
}
