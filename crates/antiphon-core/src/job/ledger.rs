//! What a job remembers on disk. The heart knows only this trait; `antiphon-store` keeps it in SQLite.
//!
//! Identity and position are apart: an **item** is a request (fingerprint) and its occurrence, and owns the outcome;
//! the **layout** says which item stands at which row of the input. Editing the input changes the layout alone.

use tokio::sync::oneshot;

use super::row::LineHash;
use crate::{
    Error, ErrorKind, Fingerprint, FinishReason, Usage, Usd, chat::Receipt, job::RecordedAttempt,
};

/// Number of an item in its ledger.
pub type ItemId = i64;

/// What is known of an item's outcome without reading its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The error it ended in; `None` is an answer.
    pub error: Option<ErrorKind>,
    /// The run it is of: the first of a ledger is 1.
    pub run: i64,
}

/// A row of the last run's layout.
#[derive(Clone, Debug)]
pub struct LayoutRow {
    /// Position in the input.
    pub index: u64,
    /// Hash of the raw line.
    pub hash: LineHash,
    /// The item at this row.
    pub item: ItemId,
    /// The item's fingerprint.
    pub fingerprint: Fingerprint,
    /// Whether the line has a `custom_id` of its own.
    pub owns_custom_id: bool,
    /// The line's `custom_id`, or `row-N`.
    pub custom_id: String,
    /// The item's outcome, where it has one whose checksum holds.
    pub verdict: Option<Verdict>,
}

/// A row of the last run's layout, as far as a survey needs it: small, and without memory of its own.
#[derive(Clone, Copy, Debug)]
pub struct KnownRow {
    /// Position in the input.
    pub index: u64,
    /// Hash of the raw line.
    pub hash: LineHash,
    /// The item's fingerprint.
    pub fingerprint: Fingerprint,
    /// Key of the line's own `custom_id`, where it has one.
    pub custom_id: Option<[u8; 16]>,
    /// The item's outcome, where it has one whose checksum holds.
    pub verdict: Option<Verdict>,
}

impl From<&LayoutRow> for KnownRow {
    fn from(row: &LayoutRow) -> Self {
        Self {
            index: row.index,
            hash: row.hash,
            fingerprint: row.fingerprint,
            custom_id: row.owns_custom_id.then(|| custom_id_key(&row.custom_id)),
            verdict: row.verdict,
        }
    }
}

/// The key by which a `custom_id` is found to stand on two lines.
pub fn custom_id_key(custom_id: &str) -> [u8; 16] {
    *Fingerprint::of_bytes("custom_id", custom_id.as_bytes()).as_bytes()
}

/// A row as it enters the window: its place, and the intent to send it where it is not yet done.
#[derive(Clone, Debug)]
pub struct PlannedRow {
    /// Position in the input.
    pub index: u64,
    /// Hash of the raw line.
    pub hash: LineHash,
    /// The item at this row.
    pub item: ItemId,
    /// The item's fingerprint.
    pub fingerprint: Fingerprint,
    /// Which of several equal requests it is, from 0.
    pub occurrence: u32,
    /// The line's `custom_id`, or `row-N`.
    pub custom_id: String,
    /// Whether the line has a `custom_id` of its own.
    pub owns_custom_id: bool,
    /// The raw line, where the output shall carry it.
    pub input: Option<Box<str>>,
    /// Whether the row will be sent: then the ledger keeps the intent.
    pub intent: bool,
}

/// The end of a row: its line but for the parts that depend on its place in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `None` for an answer.
    pub error: Option<ErrorKind>,
    /// Attempts on the wire.
    pub attempts: u32,
    /// Why the answer ended; `None` for a failure.
    pub finish: Option<FinishReason>,
    /// Tokens over all answered attempts.
    pub usage: Usage,
    /// Cost of all attempts, where it is known. A ledger need not keep it: `details` tell it too.
    pub cost: Option<Usd>,
    /// Time on the wire of the answering attempt, in microseconds; 0 where the answer was at hand.
    pub latency_us: u64,
    /// `"response":…,"error":…` of the output line.
    pub head: String,
    /// The members of the line's `antiphon` object after `index`, without its braces.
    pub details: String,
}

/// An outcome on its way into the ledger.
#[derive(Debug)]
pub struct Finished {
    /// Position in the input.
    pub index: u64,
    /// The item.
    pub item: ItemId,
    /// How it ended.
    pub outcome: Outcome,
    /// Held until the outcome is durable: an answer that exists only in memory counts as in flight.
    pub receipt: Option<Receipt>,
}

/// A line of output, ready but for its order.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputRow {
    /// Position in the input.
    pub index: u64,
    /// `id`: fingerprint and occurrence.
    pub id: String,
    /// The line's `custom_id`, or `row-N`.
    pub custom_id: String,
    /// The raw line, where the output carries it.
    pub input: Option<Box<str>>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How much of the output is surely in the file and in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Rows from the first on, without a gap.
    pub rows: u64,
    /// Their bytes in the output.
    pub bytes: u64,
    /// Hash of the last of these lines: a file that was cut and grew again is not taken for the old one.
    pub tail: LineHash,
}

/// What the ledger tells while it works.
#[derive(Debug)]
pub enum LedgerEvent {
    /// These outcomes are durable. Their rows may be shown and counted.
    Committed(Vec<(u64, Outcome)>),
    /// It cannot be written: nothing more may be sent.
    Failed(Error),
    /// Everything that was queued before the call of `finish` is durable; no more outcomes will come.
    Closed,
}

/// What a job remembers. Writes are queued in order and committed in groups; reads see what is committed.
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// Names who is told of what becomes durable. It may block: then the ledger waits.
    fn listen(&self, listener: Box<dyn Fn(LedgerEvent) + Send>);

    /// The whole of the last run's layout in input order, read and verified ahead of whoever takes it.
    fn known(&self) -> Box<dyn Iterator<Item = Result<KnownRow, Error>> + Send + '_>;

    /// The last run's layout in input order, from a row on.
    fn layout(&self, from: u64) -> Box<dyn Iterator<Item = Result<LayoutRow, Error>> + Send + '_>;

    /// The `k`-th item of a fingerprint as the ledger stood when this run began: answered ones first, then by
    /// occurrence. So the k-th of several equal rows takes the k-th answer.
    ///
    /// # Errors
    /// The ledger cannot be read.
    fn find(
        &self,
        fingerprint: Fingerprint,
        k: u32,
    ) -> Result<Option<(ItemId, Option<Verdict>)>, Error>;

    /// Whether an item's answer can be read back as it was written.
    ///
    /// # Errors
    /// The ledger cannot be read.
    fn is_sound(&self, item: ItemId) -> Result<bool, Error>;

    /// The first item number that is free.
    fn next_item(&self) -> ItemId;

    /// Answered attempts that earlier runs recorded for an item without reaching its end.
    ///
    /// # Errors
    /// The ledger cannot be read.
    fn attempts(&self, item: ItemId) -> Result<Vec<RecordedAttempt>, Error>;

    /// Queues rows that enter the window; the reply comes when they are committed (not synced: losing an intent in a
    /// power cut loses no answer).
    fn plan(&self, rows: Vec<PlannedRow>) -> oneshot::Receiver<()>;

    /// Queues an outcome. [`LedgerEvent::Committed`] tells when it is durable.
    fn commit(&self, finished: Finished);

    /// Queues an answered attempt that was not the end of its item; the reply comes when it is durable.
    fn record(&self, item: ItemId, attempt: RecordedAttempt) -> oneshot::Receiver<()>;

    /// Queues the state of the output; the reply comes when it is committed.
    fn checkpoint(&self, checkpoint: Checkpoint) -> oneshot::Receiver<()>;

    /// Output rows from `from` up to but not including `to`, in order. All of them must be finished.
    ///
    /// # Errors
    /// The ledger cannot be read, or lacks one of them: no line is ever left out in silence.
    fn output(&self, from: u64, to: u64) -> Result<Vec<OutputRow>, Error>;

    /// Makes everything durable that was queued; [`LedgerEvent::Closed`] is the last event. `planned_all` says that
    /// the layout is that of the whole input.
    fn finish(&self, planned_all: bool);
}
