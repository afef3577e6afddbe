//! The ledger on embedded SQLite: one writer thread, group commit, a checksum in each record.

mod ahead;
mod ceiling;
mod header;
mod meta;
mod past;
mod records;
mod salvage;
pub(crate) mod schema;
mod standing;
mod sums;
#[cfg(test)]
mod tests;
mod version;
mod writer;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use antiphon_core::{
    Error, ErrorKind, Fingerprint, Spent,
    job::{
        Checkpoint, Finished, ItemId, KnownRow, LayoutRow, Ledger, LedgerEvent, OutputRow,
        PlannedRow, RecordedAttempt, Verdict,
    },
};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

pub(crate) use header::is_damaged;
use meta::{last_run, read_meta};
pub use past::{PastOutcome, PastRuns};
pub(crate) use records::{is_broken, ledger_error};
pub use records::{is_disk_failure, is_of_disk};
pub use salvage::open_or_salvage;
pub use standing::{FailedRow, Standing};
use sums::signed;
use version::OpenError;
use writer::{Op, Queue, Reply, Spending, Writer};

/// Rows that a layout is read by: short reads keep the writer's log short.
const LAYOUT_PAGE: i64 = 1024;
/// Lists of equal items of at least this length are kept, so that many equal rows are not looked up one by one.
const LONG_LIST: usize = 16;
/// How many such lists are kept.
const MOST_LISTS: usize = 256;

const LAYOUT_COLUMNS: &str = "l.row, l.hash, l.item, l.occurrence, l.owns, l.custom_id, l.input, l.sum, \
     i.fingerprint, i.run, i.sum";
const LAYOUT_TABLES: &str =
    "layout l LEFT JOIN items i ON i.item = l.item LEFT JOIN outcomes o ON o.item = l.item";

type ItemsOfFingerprint = Vec<(ItemId, Option<Verdict>)>;

/// A job's ledger. Reads go through a connection of their own and see what is committed.
pub struct SqliteLedger {
    path: PathBuf,
    queue: Queue,
    reader: Mutex<Connection>,
    lists: Mutex<HashMap<Fingerprint, ItemsOfFingerprint>>,
    run: i64,
    first_new_item: ItemId,
    broken: AtomicBool,
}

impl std::fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteLedger")
            .field("path", &self.path)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl SqliteLedger {
    /// Name of the file in the state folder.
    pub const FILE: &'static str = "ledger.db";

    /// Whether a folder is the state of an earlier run.
    pub fn is_in(folder: &Path) -> bool {
        salvage::holds_ledger(folder)
    }

    /// Opens the ledger of a state folder, making it (mode 0600) where there is none.
    ///
    /// # Errors
    /// It cannot be opened, or was written by a newer release.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(Self::FILE);
        crate::state_dir::private_file(&path).map_err(|error| {
            Error::new(ErrorKind::Ledger, format!("{}: {error}", path.display())).with_source(error)
        })?;
        let opened = Self::open_database(&path);
        opened.map_err(|error| match error {
            OpenError::Newer(version) => Error::new(
                ErrorKind::Ledger,
                format!(
                    "{} was written by a newer antiphon (ledger version {version})",
                    path.display()
                ),
            ),
            OpenError::Sqlite(error) => ledger_error(&path, error),
        })
    }

    fn open_database(path: &Path) -> Result<Self, OpenError> {
        let connection = schema::open_writer(path)?;
        version::settle(&connection)?;
        schema::upgrade(&connection)?;
        let run = last_run(&connection)? + 1;
        writer::set_meta(&connection, "run", &run.to_string())?;
        let last_item = |table: &str| {
            connection.query_row(
                &format!("SELECT coalesce(max(item), -1) FROM {table}"),
                [],
                |row| row.get::<_, ItemId>(0),
            )
        };
        // an item whose record was damaged may live on in the other table
        let first_new_item = last_item("items")?.max(last_item("outcomes")?) + 1;
        let reader = schema::open_reader(path)?;
        let (queue, inbox) = std::sync::mpsc::channel();
        let writer = Writer::new(path.to_owned(), connection, run);
        std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.work(&inbox))
            .map_err(|_| rusqlite::Error::InvalidQuery)?;
        Ok(Self {
            path: path.to_owned(),
            queue,
            reader: Mutex::new(reader),
            lists: Mutex::default(),
            run,
            first_new_item,
            broken: AtomicBool::new(false),
        })
    }

    /// What an earlier run wrote down under this key (the parts of its plan, for instance).
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn note(&self, key: &str) -> Result<Option<String>, Error> {
        self.read(|reader| read_meta(reader, key))
    }

    /// Writes something down for later runs; durable when this returns.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn write_note(&self, key: &'static str, value: String) -> Result<(), Error> {
        self.ask(|reply| Op::Meta(key, value, reply))
    }

    /// What all runs of the job so far have spent. From here on each commit notes it together with what this run has spent
    /// by then, which `now` tells.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn count_spent(&self, now: impl Fn() -> Spent + Send + 'static) -> Result<Spent, Error> {
        let earlier = self.read(meta::spent_so_far)?;
        let now = Box::new(now);
        self.send(Op::Spend(Spending { earlier, now }));
        Ok(earlier)
    }

    /// The state of the output as the last run left it.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn last_checkpoint(&self) -> Result<Checkpoint, Error> {
        let text = self.note("checkpoint")?;
        Ok(text
            .as_deref()
            .and_then(writer::checkpoint_from)
            .unwrap_or_default())
    }

    /// Forgets the state of the output: from here on it is written anew, and what stands there now is not to be gone
    /// on from. Durable when this returns.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn forget_checkpoint(&self) -> Result<(), Error> {
        self.write_note("checkpoint", writer::checkpoint_text(Checkpoint::default()))
    }

    /// Whether the ledger knows of any item.
    pub fn is_new(&self) -> bool {
        self.first_new_item == 0
    }

    /// Whether the layout is of the whole input, or at least of its beginning with nothing planned beyond it.
    /// It is not after a run over a changed input that was killed: then rows must be found by fingerprint.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn layout_is_whole(&self) -> Result<bool, Error> {
        Ok(self.note("layout_whole")?.as_deref() != Some("no"))
    }

    /// Forgets the layout and makes items findable by fingerprint: the input has changed.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn begin_changed_input(&self) -> Result<(), Error> {
        self.ask(Op::Rebuild)
    }

    /// Whether a read met a broken file. Then [`open_or_salvage`] is the way on.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    fn ask(&self, op: impl FnOnce(Reply) -> Op) -> Result<(), Error> {
        let (told, answer) = std::sync::mpsc::channel();
        self.send(op(Box::new(move |result| drop(told.send(result)))));
        answer
            .recv()
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Ledger, "the ledger is closed")))
    }

    fn send(&self, op: Op) {
        // a writer that is gone has told so: replies that are dropped say it too
        let _closed = self.queue.send(op);
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        query(&reader).map_err(|error| self.failed_read(error))
    }

    fn failed_read(&self, error: rusqlite::Error) -> Error {
        if records::is_broken(&error) {
            self.broken.store(true, Relaxed);
            salvage::mark(&self.path);
        }
        ledger_error(&self.path, error)
    }

    fn layout_page(&self, from: i64) -> Result<Vec<LayoutRow>, Error> {
        self.read(|reader| {
            let mut select = reader.prepare_cached(&format!(
                "SELECT {LAYOUT_COLUMNS}, {} FROM {LAYOUT_TABLES} WHERE l.row >= ?1 ORDER BY l.row LIMIT ?2",
                records::VERDICT
            ))?;
            select
                .query_map([from, LAYOUT_PAGE], records::layout_row)?
                .collect()
        })
    }

    fn items_of(&self, fingerprint: Fingerprint) -> Result<ItemsOfFingerprint, Error> {
        let mut items = self.read(|reader| {
            let mut select = reader.prepare_cached(&format!(
                "SELECT i.item, i.fingerprint, i.run, i.sum, {} FROM items i LEFT JOIN outcomes o ON o.item = i.item
                 WHERE i.fingerprint = ?1 AND i.item < ?2 ORDER BY i.item",
                records::VERDICT
            ))?;
            let mut rows = select.query(params![fingerprint.as_bytes(), self.first_new_item])?;
            let mut items = ItemsOfFingerprint::new();
            while let Some(row) = rows.next()? {
                let Some(item) = records::item_of(row) else {
                    continue;
                };
                // outcomes of this run do not count: the order must stand still while rows are mapped
                let verdict = records::verdict_of(row, 4)
                    .filter(|(run, _)| *run < self.run)
                    .map(|(run, outcome)| Verdict {
                        run,
                        error: outcome.error,
                    });
                items.push((item, verdict));
            }
            Ok(items)
        })?;
        items.sort_by_key(|(_, verdict)| match verdict {
            Some(Verdict { error: None, .. }) => 0,
            Some(_) => 1,
            None => 2,
        });
        Ok(items)
    }
}

impl Ledger for SqliteLedger {
    fn listen(&self, listener: Box<dyn Fn(LedgerEvent) + Send>) {
        self.send(Op::Listen(listener));
    }

    fn known(&self) -> Box<dyn Iterator<Item = Result<KnownRow, Error>> + Send + '_> {
        Box::new(ahead::known_rows(self))
    }

    fn layout(&self, from: u64) -> Box<dyn Iterator<Item = Result<LayoutRow, Error>> + Send + '_> {
        let mut next = signed(from);
        let mut page = Vec::new().into_iter();
        let rows = std::iter::from_fn(move || {
            if let Some(row) = page.next() {
                return Some(Ok(row));
            }
            match self.layout_page(next) {
                Err(error) => Some(Err(error)),
                Ok(rows) => {
                    next = rows.last().map_or(next, |row| signed(row.index) + 1);
                    page = rows.into_iter();
                    page.next().map(Ok)
                }
            }
        });
        // rows planned by this run are no part of the last run's layout: the end, once met, is the end
        Box::new(rows.fuse())
    }

    fn find(
        &self,
        fingerprint: Fingerprint,
        k: u32,
    ) -> Result<Option<(ItemId, Option<Verdict>)>, Error> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(items) = lists.get(&fingerprint) {
            return Ok(items.get(k as usize).copied());
        }
        let items = self.items_of(fingerprint)?;
        let found = items.get(k as usize).copied();
        if items.len() >= LONG_LIST && lists.len() < MOST_LISTS {
            lists.insert(fingerprint, items);
        }
        Ok(found)
    }

    fn is_sound(&self, item: ItemId) -> Result<bool, Error> {
        self.read(|reader| {
            reader
                .prepare_cached(&format!(
                    "SELECT {}, answer_sum, head, details FROM outcomes o WHERE item = ?1",
                    records::VERDICT
                ))?
                .query_row([item], |row| Ok(records::outcome_of(row, 0).is_some()))
                .optional()
                .map(|sound| sound.unwrap_or(false))
        })
    }

    fn next_item(&self) -> ItemId {
        self.first_new_item
    }

    fn attempts(&self, item: ItemId) -> Result<Vec<RecordedAttempt>, Error> {
        self.read(|reader| {
            let mut select = reader.prepare_cached(
                "SELECT item, run, text, fault, usage, sum, part FROM attempts WHERE item = ?1 ORDER BY attempt",
            )?;
            let mut rows = select.query([item])?;
            let mut attempts = Vec::new();
            while let Some(row) = rows.next()? {
                attempts.extend(records::attempt_of(row));
            }
            Ok(attempts)
        })
    }

    fn plan(&self, rows: Vec<PlannedRow>) -> oneshot::Receiver<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Op::Plan(rows, reply));
        answer
    }

    fn commit(&self, finished: Finished) {
        self.send(Op::Commit(finished));
    }

    fn record(&self, item: ItemId, attempt: RecordedAttempt) -> oneshot::Receiver<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Op::Record(item, attempt, reply));
        answer
    }

    fn checkpoint(&self, checkpoint: Checkpoint) -> oneshot::Receiver<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Op::Checkpoint(checkpoint, reply));
        answer
    }

    fn output(&self, from: u64, to: u64) -> Result<Vec<OutputRow>, Error> {
        let found: Vec<OutputRow> = self.read(|reader| {
            let mut select = reader.prepare_cached(&format!(
                "SELECT {LAYOUT_COLUMNS}, {}, o.answer_sum, o.head, o.details FROM {LAYOUT_TABLES}
                 WHERE l.row >= ?1 AND l.row < ?2 ORDER BY l.row",
                records::VERDICT
            ))?;
            let rows = select.query_map([signed(from), signed(to)], |row| {
                Ok(records::output_row(row))
            })?;
            rows.filter_map(Result::transpose).collect()
        })?;
        let lacks = (from..to).zip(found.iter().map(|row| row.index).chain([to]));
        if let Some((row, _)) = lacks.into_iter().find(|(wanted, there)| wanted != there) {
            // a flipped bit in a key: what one look-up found, another does not
            salvage::mark(&self.path);
            return Err(records::damaged(&format!("row {row} cannot be read back")));
        }
        Ok(found)
    }

    fn finish(&self, planned_all: bool) {
        self.send(Op::Finish { planned_all });
    }
}
