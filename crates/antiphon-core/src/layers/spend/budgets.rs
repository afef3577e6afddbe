//! [`Budgets`]: the async shell around the rules of spending: one lock, and a channel for each waiting attempt.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    desk::{Decided, Desk, Held, Place, PurseId, Refused},
    hold::Holding,
    purse::{BudgetSnapshot, Purse},
};
use crate::{BoxFuture, Error, ErrorKind, Usd};

/// Keeps the ceiling of a budget where a crash does not reach it.
pub trait Vault: Send + Sync + fmt::Debug {
    /// Notes that everything ever spent or held is at most this much; durable once the future is ready. Writes take effect
    /// in the order in which they were asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`]: it cannot be written. Then nothing is sent.
    fn keep(&self, ceiling: Usd) -> BoxFuture<'static, Result<(), Error>>;
}

/// Says why a budget does not pay, where there is more to say than its amounts: whose it is, and until when.
pub trait Explain: Send + Sync + fmt::Debug {
    /// The words for an attempt that may cost up to `worst`, for which the budget leaves too little.
    fn explain(&self, budget: &BudgetSnapshot, worst: Usd) -> String;
}

/// What a budget begins with.
#[derive(Clone, Debug, Default)]
pub struct BudgetConfig {
    /// The most that may be spent; `None`: it is only counted.
    pub cap: Option<Usd>,
    /// What is spent already, or may be: an upper bound.
    pub spent: Usd,
    /// Where the ceiling is kept, for a cap that outlives this process.
    pub vault: Option<Arc<dyn Vault>>,
    /// The words in which it refuses; without any its amounts are told.
    pub words: Option<Arc<dyn Explain>>,
}

/// Attempts of one target that hold money and are not sent yet: enough for admission to find somebody at its door, and few,
/// since a kill costs their holds.
const MOST_UNSENT: usize = 8;

/// Whoever waits is told through this.
type Seat = oneshot::Sender<Result<Holding, Error>>;

/// Budgets that may pay for the same attempts: that of a job, or those of a gateway's keys and of the whole.
#[derive(Debug, Default)]
pub struct Budgets {
    desk: Mutex<Desk<Seat>>,
    vaults: Mutex<Vec<Option<Arc<dyn Vault>>>>,
    words: Mutex<Vec<Option<Arc<dyn Explain>>>>,
}

/// One budget of several; clones are the same one.
#[derive(Clone)]
pub struct Budget {
    all: Arc<Budgets>,
    id: PurseId,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Budget").field(&self.snapshot()).finish()
    }
}

impl Budgets {
    /// None yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Opens one more.
    pub fn open(self: &Arc<Self>, config: BudgetConfig) -> Budget {
        let purse = Purse::new(config.cap, config.spent, config.vault.is_some());
        // all under the lock of the desk, so that they stay in step
        let mut desk = lock(&self.desk);
        let id = desk.open(purse);
        lock(&self.vaults).push(config.vault);
        lock(&self.words).push(config.words);
        drop(desk);
        Budget {
            all: Arc::clone(self),
            id,
        }
    }

    /// Waits until the amount is held on all payers. Dropping the future leaves the line.
    pub(super) async fn hold(
        self: &Arc<Self>,
        held: Held,
        drain: &CancellationToken,
    ) -> Result<Holding, Error> {
        let stopped = || Error::stopped("stopped before the call was sent");
        if drain.is_cancelled() {
            return Err(stopped());
        }
        let (seat, mut verdict) = oneshot::channel();
        let place = self.act(|desk, _| desk.ask(held, seat));
        // most need not wait
        if let Ok(decided) = verdict.try_recv() {
            return decided;
        }
        let mut leaving = Leaving {
            all: self,
            place: Some(place),
        };
        tokio::select! {
            biased;
            decided = &mut verdict => {
                leaving.place = None;
                // a seat is dropped only after it was told
                decided.unwrap_or_else(|_| Err(stopped()))
            }
            () = drain.cancelled() => Err(stopped()),
        }
    }

    /// Reports an event, then tells everybody who need not wait any longer because of it.
    pub(super) fn act<R>(
        self: &Arc<Self>,
        event: impl FnOnce(&mut Desk<Seat>, &mut Decided<Seat>) -> R,
    ) -> R {
        let mut decided = Decided::default();
        let mut desk = lock(&self.desk);
        let result = event(&mut desk, &mut decided);
        desk.poll(&mut decided);
        let told: Vec<_> = decided
            .answers
            .into_iter()
            .map(|(seat, verdict)| {
                let refused = |refused| refusal(&desk, refused, &lock(&self.words));
                (seat, verdict.map_err(refused))
            })
            .collect();
        drop(desk);
        // outside the lock: whoever has just hung up drops its hold here, which takes the lock again
        for (seat, verdict) in told {
            let verdict = verdict.map(|held: Held| Holding::new(Arc::clone(self), held));
            drop(seat.send(verdict));
        }
        for (id, to) in decided.raises {
            self.raise(id, to);
        }
        result
    }

    /// Writes a ceiling beside the calls. A budget has one such write under way at a time.
    fn raise(self: &Arc<Self>, id: PurseId, to: Usd) {
        let Some(vault) = self.vault(id) else {
            return;
        };
        let all = Arc::clone(self);
        let writing = vault.keep(to);
        tokio::spawn(async move {
            let is_durable = writing.await.is_ok();
            all.act(|desk, decided| desk.raised(id, is_durable, decided));
        });
    }

    fn vault(&self, id: PurseId) -> Option<Arc<dyn Vault>> {
        lock(&self.vaults).get(id.0).cloned().flatten()
    }
}

impl Default for Desk<Seat> {
    fn default() -> Self {
        Self::new(MOST_UNSENT)
    }
}

impl Budget {
    /// A picture of it; cheap.
    pub fn snapshot(&self) -> BudgetSnapshot {
        lock(&self.all.desk).purse(self.id).snapshot()
    }

    /// Whether it bounds anything, or only counts.
    pub fn is_capped(&self) -> bool {
        lock(&self.all.desk).purse(self.id).is_capped()
    }

    /// Attempts that wait for this budget and those it belongs to.
    pub fn waiting(&self) -> usize {
        lock(&self.all.desk).waiting()
    }

    /// Begins anew, before the first attempt, with what earlier runs have `spent`, and what their lost attempts may have
    /// cost beside it.
    pub fn go_on_from(&self, spent: Usd, lost: Usd, vault: Option<Arc<dyn Vault>>) {
        let mut desk = lock(&self.all.desk);
        let cap = desk.purse(self.id).snapshot().cap;
        let purse = Purse::new(cap, spent, vault.is_some()).with_kept(lost);
        desk.replace(self.id, purse);
        if let Some(place) = lock(&self.all.vaults).get_mut(self.id.0) {
            *place = vault;
        }
    }

    /// Sets another cap, for attempts that wait too. A cap below what is gone lets nothing more through.
    pub fn set_cap(&self, cap: Usd) {
        self.all.act(|desk, _| desk.set_cap(self.id, cap));
    }

    /// Writes down what was really used, in place of a ceiling above it: at the end, when nothing more is sent. The vault
    /// is given back; what would go beyond that amount waits from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`]: it cannot be written; then the ceiling stands.
    pub async fn close(&self) -> Result<(), Error> {
        // under one lock, so that nothing is granted between the two
        let (used, vault) = {
            let mut desk = lock(&self.all.desk);
            let vault = lock(&self.all.vaults)
                .get_mut(self.id.0)
                .and_then(Option::take);
            (desk.close(self.id), vault)
        };
        match vault {
            Some(vault) => vault.keep(used).await,
            None => Ok(()),
        }
    }

    pub(super) fn all(&self) -> &Arc<Budgets> {
        &self.all
    }

    pub(super) fn id(&self) -> PurseId {
        self.id
    }
}

/// Why a budget ended a run: the source of its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall {
    /// The budget that would have let the attempt through: what is gone, and the attempt's worst case.
    pub least: Usd,
}

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it takes a budget of ${}", self.least)
    }
}

impl std::error::Error for TooSmall {}

/// The error of an attempt that is not granted.
fn refusal<T>(desk: &Desk<T>, refused: Refused, words: &[Option<Arc<dyn Explain>>]) -> Error {
    match refused {
        Refused::Exhausted { purse, amount } => {
            let budget = desk.purse(purse).snapshot();
            let cap = budget.cap.unwrap_or_default();
            let least = budget.spent + budget.lost + amount;
            if let Some(Some(words)) = words.get(purse.0) {
                let message = words.explain(&budget, amount);
                return Error::new(ErrorKind::Budget, message).with_source(TooSmall { least });
            }
            if least == amount {
                let message = format!(
                    "the budget of ${cap} is too small for the next attempt, which may cost up to ${}",
                    cents(amount)
                );
                return Error::new(ErrorKind::Budget, message).with_source(TooSmall { least });
            }
            let mut gone = format!("${} spent", cents(budget.spent));
            if budget.lost > Usd::ZERO {
                gone.push_str(&format!(
                    ", up to ${} more by attempts whose end is not known",
                    cents(budget.lost)
                ));
            }
            Error::new(
                ErrorKind::Budget,
                format!(
                    "the budget of ${cap} is reached: {gone}, and the next attempt may cost up to ${}",
                    cents(amount)
                ),
            )
            .with_source(TooSmall { least })
        }
        Refused::Unwritten(_) => Error::new(
            ErrorKind::Ledger,
            "what is spent of the budget cannot be written down",
        ),
    }
}

/// Enough places to tell amounts of this size apart.
fn cents(amount: Usd) -> String {
    let dollars = amount.as_f64();
    match dollars {
        _ if amount == Usd::ZERO => "0".to_owned(),
        0.01.. => format!("{dollars:.4}"),
        _ => amount.to_string(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves the line when the waiting future is dropped.
struct Leaving<'a> {
    all: &'a Arc<Budgets>,
    place: Option<Place>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.all.act(|desk, _| desk.leave(place));
        }
    }
}
