//! [`CallerBooks`]: what each key has used. It outlives a reload of the configuration, and money also a crash.
//!
//! Each key has a budget for each day in UTC. A call is paid by the day on which it began, so at midnight nothing is lost and
//! nothing is counted twice. A file for each key and day holds the ceiling of what may have been spent: nothing is granted
//! beyond what is written there, and whoever begins with it as spent never exceeds the budget.

#[cfg(test)]
mod tests;

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
/// What a caller is told of a file that only the operator can mend.
const UNREADABLE: &str =
    "what was spent today cannot be read or written; the operator's log says more";

/// What callers have used: their minutes, which a reload does not forget, and their money, which a crash does not either.
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
    /// Budgets of a day by the configuration in force: calls that began under an earlier one open the day with these.
    caps: HashMap<Arc<str>, Usd>,
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

    /// The budget of a key today; the first call of the day opens it, with `cap` where the configuration in force has none.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`]: what was spent today cannot be read. Callers read these words, so that they name no file; the
    /// log does.
    pub(super) fn budget(&self, name: &Arc<str>, cap: Usd) -> Result<Budget, Error> {
        self.budget_of_today(name, cap).map_err(|error| {
            let (key, error) = (&**name, error.message());
            tracing::error!(key, error, "the budget of a key cannot be read");
            Error::new(ErrorKind::Ledger, UNREADABLE)
        })
    }

    /// As [`Self::budget`], with an error for whoever runs the server.
    fn budget_of_today(&self, name: &Arc<str>, cap: Usd) -> Result<Budget, Error> {
        let day = Day::of(self.clock.wall());
        let mut state = self.lock();
        if let Some(budget) = state.days.get(&(Arc::clone(name), day)) {
            return Ok(budget.clone());
        }
        let (folder, file) = state.file(&self.data, name, day)?;
        let config = BudgetConfig {
            cap: Some(state.caps.get(name).copied().unwrap_or(cap)),
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

    /// Looks whether today's budget of a key can be read, and changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`]: it cannot, with the file.
    pub(super) fn check(&self, name: &Arc<str>) -> Result<(), Error> {
        let day = Day::of(self.clock.wall());
        let mut state = self.lock();
        if state.days.contains_key(&(Arc::clone(name), day)) {
            return Ok(());
        }
        let (_, file) = state.file(&self.data, name, day)?;
        file.most_spent().map(drop)
    }

    /// Gives a key this cap from now on, today's budget too.
    pub(super) fn set_cap(&self, name: &Arc<str>, cap: Usd) {
        self.lock().caps.insert(Arc::clone(name), cap);
        // one that cannot be read is told to whoever calls
        if let Ok(budget) = self.budget(name, cap)
            && budget.snapshot().cap != Some(cap)
        {
            budget.set_cap(cap);
        }
    }

    /// Today's budget of a key as far as it is known: it is neither opened nor read. Before the first call of a day nothing
    /// is spent.
    pub(super) fn look(&self, name: &Arc<str>, cap: Usd) -> BudgetSnapshot {
        let day = Day::of(self.clock.wall());
        let state = self.lock();
        let budget = state.days.get(&(Arc::clone(name), day));
        budget.map_or_else(
            || BudgetSnapshot {
                cap: Some(cap),
                ..BudgetSnapshot::default()
            },
            Budget::snapshot,
        )
    }

    /// What a key may ask per minute, where it has limits: what is known of it, with the limits that hold for it now, or
    /// something new that nobody else knows before [`Self::set_limits`].
    pub(super) fn allowance(
        &self,
        name: &Arc<str>,
        limits: AllowanceConfig,
    ) -> Option<Arc<Allowance>> {
        if limits == AllowanceConfig::default() {
            return None;
        }
        let known = self.lock().allowances.get(name).cloned();
        Some(known.unwrap_or_else(|| Allowance::new(limits, Arc::clone(&self.clock))))
    }

    /// Lets a key ask this much per minute from now on.
    pub(super) fn set_limits(
        &self,
        name: &Arc<str>,
        allowance: &Arc<Allowance>,
        limits: AllowanceConfig,
    ) {
        let (name, kept) = (Arc::clone(name), Arc::clone(allowance));
        self.lock().allowances.insert(name, kept);
        allowance.set_limits(limits);
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

    /// The folder of budgets, and in it the file of a key and day.
    fn file(&mut self, data: &Path, name: &str, day: Day) -> Result<(PathBuf, BudgetFile), Error> {
        let unusable = |error: StateDirError| Error::new(ErrorKind::Ledger, error.to_string());
        let folder = self.open(data).map_err(unusable)?.folder.clone();
        let file = BudgetFile::at(folder.join(day.file_of(name)));
        Ok((folder, file))
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
