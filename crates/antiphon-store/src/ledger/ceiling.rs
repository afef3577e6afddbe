//! What a job may have spent at most, as far as its budget knows: kept before anything is sent that might make it more.

use antiphon_core::{BoxFuture, Error, ErrorKind, Usd, layers::spend::Vault};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    SqliteLedger,
    writer::{Op, Queue},
};

/// Key of the note.
pub(super) const NOTE: &str = "ceiling";

/// The note: the ceiling, and the known cost of all runs at the time when it was right, where later runs without a budget
/// are to be added to it.
struct Ceiling {
    most: Usd,
    known: Option<Usd>,
}

impl Ceiling {
    fn text(&self) -> String {
        let known = self.known.map(Usd::picos);
        json!({"most_picos": self.most.picos(), "known_picos": known}).to_string()
    }

    fn read(text: &str) -> Option<Self> {
        let note: Value = serde_json::from_str(text).ok()?;
        let picos = |name| Some(Usd::from_picos(note.get(name)?.as_u64()?));
        Some(Self {
            most: picos("most_picos")?,
            known: picos("known_picos"),
        })
    }

    /// An upper bound of what was spent by now, when the known cost of all runs is `known`.
    fn most_now(&self, known: Usd) -> Usd {
        let later = self.known.map_or(Usd::ZERO, |then| known.less(then));
        (self.most + later).max(known)
    }
}

impl SqliteLedger {
    /// The most that all runs so far have spent, of which `known` is the cost that is known. Where a run had a budget, what
    /// its lost attempts may have cost is in it. To be asked at the beginning of each run.
    ///
    /// # Errors
    /// The ledger cannot be read or written.
    pub fn most_spent(&self, known: Usd) -> Result<Usd, Error> {
        let note = self.note(NOTE)?.as_deref().and_then(Ceiling::read);
        let Some(ceiling) = note else {
            return Ok(known);
        };
        let most = ceiling.most_now(known);
        let known = Some(known);
        // from here on, what this run costs is to be added, unless it writes a ceiling of its own
        self.write_note(NOTE, Ceiling { most, known }.text())?;
        Ok(most)
    }

    /// Where a budget keeps its ceiling.
    pub fn vault(&self) -> impl Vault + use<> {
        LedgerVault(self.queue.clone())
    }
}

#[derive(Debug)]
struct LedgerVault(Queue);

impl Vault for LedgerVault {
    fn keep(&self, ceiling: Usd) -> BoxFuture<'static, Result<(), Error>> {
        let (told, result) = oneshot::channel();
        let ceiling = Ceiling {
            most: ceiling,
            known: None,
        };
        let reply = Box::new(move |result| drop(told.send(result)));
        // queued at once, so that writes keep their order
        let queued = self.0.send(Op::Meta(NOTE, ceiling.text(), reply));
        Box::pin(async move {
            let closed = || Error::new(ErrorKind::Ledger, "the ledger is closed");
            queued.map_err(|_| closed())?;
            result.await.unwrap_or_else(|_| Err(closed()))
        })
    }
}
