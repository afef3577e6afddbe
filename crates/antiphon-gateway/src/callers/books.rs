//! [`CallerBooks`]: what each key has used. It outlives a reload of the configuration, and money also a crash.
//!
//! Each key has a budget for each day in UTC. A call is paid by the day on which it began, so at midnight nothing is lost and
//! nothing is counted twice. A file for each key and day holds the ceiling of what may have been spent: nothing is granted
//! beyond what is written there, and whoever begins with it as spent never exceeds the budget.

use std::{
    collections::HashMap,
    fmt, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use antiphon::{
    BudgetFile, Error, ErrorKind, StateDir, StateDirError, Usd,
    core::{
        Clock,
        layers::{
            admit::{Allowance, AllowanceConfig},
            spend::{Budget, BudgetConfig, BudgetSnapshot, Budgets, Explain},
        },
    },
};

use super::day::Day;

/// The folder of budgets within that of the gateway's state.
const FOLDER: &str = "budgets";
/// Days for which files are kept: a month can be looked at.
const KEPT: u64 = 35;
/// Days after which a budget that nothing is open on is forgotten.
const OPEN: u64 = 2;

/// The books; see the [module](self).
pub struct CallerBooks {
    clock: Arc<dyn Clock>,
    data: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    store: Option<Store>,
    budgets: Arc<Budgets>,
    days: HashMap<(Arc<str>, Day), Budget>,
    allowances: HashMap<Arc<str>, Arc<Allowance>>,
    /// The latest day for which files were looked through.
    tidied: Option<Day>,
}

/// The folder on disk, locked as long as this lives.
struct Store {
    _lock: StateDir,
    folder: PathBuf,
}

impl fmt::Debug for CallerBooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerBooks")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl CallerBooks {
    /// Books that are kept in this folder as soon as a key has a budget.
    pub fn new(data: PathBuf, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            data,
            state: Mutex::default(),
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.data
    }

    /// Takes the folder, which no other gateway may use from now on.
    ///
    /// # Errors
    /// Another one does, or it cannot be made.
    pub fn open(&self) -> Result<(), StateDirError> {
        self.lock().open(&self.data).map(drop)
    }

    /// The budget of a key today; the first call of the day opens it.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`]: what was spent today cannot be read.
    pub(super) fn budget(&self, name: &Arc<str>, cap: Usd) -> Result<Budget, Error> {
        let day = Day::of(self.clock.wall());
        let mut state = self.lock();
        if let Some(budget) = state.days.get(&(Arc::clone(name), day)) {
            return Ok(budget.clone());
        }
        let unusable = |error: StateDirError| Error::new(ErrorKind::Ledger, error.to_string());
        let folder = state.open(&self.data).map_err(unusable)?.folder.clone();
        let file = BudgetFile::at(folder.join(day.file_of(name)));
        let config = BudgetConfig {
            cap: Some(cap),
            spent: file.most_spent()?,
            vault: Some(Arc::new(file)),
            words: Some(Arc::new(DayWords {
                name: Arc::clone(name),
                day,
            })),
        };
        let budget = state.budgets.open(config);
        state.days.insert((Arc::clone(name), day), budget.clone());
        state.tidy(&folder, day);
        Ok(budget)
    }

    /// Opens today's budget with this cap, or gives it this cap where it is open already.
    ///
    /// # Errors
    /// As [`Self::budget`].
    pub(super) fn set_cap(&self, name: &Arc<str>, cap: Usd) -> Result<(), Error> {
        let budget = self.budget(name, cap)?;
        if budget.snapshot().cap != Some(cap) {
            budget.set_cap(cap);
        }
        Ok(())
    }

    /// What a key may ask per minute, where it has limits.
    pub(super) fn allowance(
        &self,
        name: &Arc<str>,
        limits: AllowanceConfig,
    ) -> Option<Arc<Allowance>> {
        if limits == AllowanceConfig::default() {
            return None;
        }
        let mut state = self.lock();
        let known = state.allowances.get(name).cloned();
        let allowance = known.unwrap_or_else(|| {
            let allowance = Allowance::new(limits, Arc::clone(&self.clock));
            state.allowances.insert(Arc::clone(name), allowance.clone());
            allowance
        });
        allowance.set_limits(limits);
        Some(allowance)
    }

    /// The time of day that budgets go by.
    pub(super) fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// Writes down what was really spent, at the end, when nothing more is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`]: it cannot be written; then a little more counts as spent than was.
    pub async fn close(&self) -> Result<(), Error> {
        let budgets: Vec<Budget> = self.lock().days.values().cloned().collect();
        for budget in budgets {
            budget.close().await?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(&mut self, data: &Path) -> Result<&Store, StateDirError> {
        let opened = match self.store.take() {
            Some(store) => store,
            None => {
                let lock = StateDir::open(data)?;
                let folder = data.join(FOLDER);
                let made = fs::DirBuilder::new().mode(0o700).create(&folder);
                match made {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(StateDirError::Io(folder, error));
                    }
                    _ => Store {
                        _lock: lock,
                        folder,
                    },
                }
            }
        };
        Ok(self.store.insert(opened))
    }

    /// Once a day, forgets what is long past.
    fn tidy(&mut self, folder: &Path, today: Day) {
        if self.tidied >= Some(today) {
            return;
        }
        self.tidied = Some(today);
        let is_past = |day: Day| day < today.before(OPEN);
        self.days
            .retain(|(_, day), budget| !is_past(*day) || budget.snapshot().open > Usd::ZERO);
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let day = entry.file_name().to_str().and_then(Day::of_file);
            if day.is_some_and(|day| day < today.before(KEPT)) {
                // one that cannot be removed does no harm
                let _stays = fs::remove_file(entry.path());
            }
        }
    }
}

/// Why a day's budget does not pay.
#[derive(Debug)]
struct DayWords {
    name: Arc<str>,
    day: Day,
}

impl Explain for DayWords {
    fn explain(&self, budget: &BudgetSnapshot, worst: Usd) -> String {
        let cap = budget.cap.unwrap_or_default();
        let left = cap.less(budget.spent + budget.lost);
        let (name, anew, worst) = (&self.name, self.day.end(), worst.rounded_up());
        if left == Usd::ZERO {
            return format!(
                "the key {name:?} has used up its ${cap} of this day; the next day begins at {anew}"
            );
        }
        let what_to_do = match cap < worst {
            true => "and no day has more: ask for fewer output tokens (max_tokens), or send less"
                .to_owned(),
            false => format!(
                "ask for fewer output tokens (max_tokens), send less, or come again at {anew}, when the next day begins"
            ),
        };
        format!(
            "this request may cost up to ${worst}, and of the ${cap} that the key {name:?} has for this day ${left} is left; {what_to_do}"
        )
    }
}

#[cfg(test)]
mod tests {
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
        books.set_cap(&name, usd("2.5")).unwrap();
        assert_eq!(budget(&books).left(), Some(usd("0.5")));
        // damage is told, and nothing is granted
        wall.set(20_002);
        write(Day::of(wall.wall()), "two dollars");
        let error = books.budget(&name, usd("5")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ledger);
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
}
