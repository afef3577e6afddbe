//! The one writer: takes what is queued, commits it as a group, and only then tells.
//!
//! Groups form by themselves: while one is synced, the next gathers. An outcome therefore waits for at most two syncs.

use std::{path::PathBuf, sync::mpsc::Receiver};

use antiphon_core::{
    Error, ErrorKind, Spent,
    job::{Checkpoint, Finished, ItemId, LedgerEvent, Outcome, PlannedRow, RecordedAttempt},
};
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::{
    meta,
    records::{
        insert_attempt, insert_item, insert_layout, insert_outcome, is_broken, ledger_error,
    },
    salvage, sums,
};

/// Operations of one commit. A bound, so that a commit is never long.
const MOST_IN_A_GROUP: usize = 1024;

/// Who is told of what becomes durable.
pub(super) type Listener = Box<dyn Fn(LedgerEvent) + Send>;

/// What the job had spent before this run, and tells what this run has spent so far.
pub(super) struct Spending {
    pub(super) earlier: Spent,
    pub(super) now: Box<dyn Fn() -> Spent + Send>,
}

/// Tells whoever has asked, from the writer's thread.
pub(super) type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Where operations are queued.
pub(super) type Queue = std::sync::mpsc::Sender<Op>;

/// What can be queued.
pub(super) enum Op {
    Listen(Listener),
    Spend(Spending),
    Plan(Vec<PlannedRow>, oneshot::Sender<()>),
    Commit(Finished),
    Record(ItemId, RecordedAttempt, oneshot::Sender<()>),
    Checkpoint(Checkpoint, oneshot::Sender<()>),
    Meta(&'static str, String, Reply),
    Rebuild(Reply),
    Finish { planned_all: bool },
}

impl Op {
    /// Whether losing it in a power cut would lose something that was paid for.
    fn must_be_synced(&self) -> bool {
        !matches!(
            self,
            Self::Listen(_) | Self::Spend(_) | Self::Plan(..) | Self::Checkpoint(..)
        )
    }
}

pub(super) struct Writer {
    path: PathBuf,
    connection: Connection,
    run: i64,
    listener: Option<Listener>,
    spending: Option<Spending>,
    synchronous: bool,
    // outcomes whose commit failed: tried again with the next group, so that a disk with room again keeps them
    unsaved: Vec<Finished>,
    // set by `Op::Finish`, after which only the last checkpoint comes
    ending: bool,
}

impl Writer {
    pub(super) fn new(path: PathBuf, connection: Connection, run: i64) -> Self {
        Self {
            path,
            connection,
            run,
            listener: None,
            spending: None,
            synchronous: true,
            unsaved: Vec::new(),
            ending: false,
        }
    }

    /// Works until every handle is gone.
    pub(super) fn work(mut self, queue: &Receiver<Op>) {
        let mut group = Vec::new();
        while let Ok(first) = queue.recv() {
            group.push(first);
            while group.len() < MOST_IN_A_GROUP
                && let Ok(next) = queue.try_recv()
            {
                group.push(next);
            }
            let finished = group.iter().any(|op| matches!(op, Op::Finish { .. }));
            self.ending |= finished;
            self.commit_group(&mut group);
            if finished {
                self.tell(LedgerEvent::Closed);
            }
        }
    }

    fn commit_group(&mut self, group: &mut Vec<Op>) {
        if let Some(at) = group.iter().position(|op| matches!(op, Op::Listen(_)))
            && let Op::Listen(listener) = group.remove(at)
        {
            self.listener = Some(listener);
        }
        if let Some(at) = group.iter().position(|op| matches!(op, Op::Spend(_)))
            && let Op::Spend(spending) = group.remove(at)
        {
            self.spending = Some(spending);
        }
        let result = self.write(group);
        match result {
            Ok(()) => {
                if self.ending {
                    self.merge_log();
                }
                self.acknowledge(group);
            }
            Err(error) => {
                if is_broken(&error) {
                    salvage::mark(&self.path);
                }
                let error = ledger_error(&self.path, error);
                self.give_back(group, &error);
            }
        }
    }

    /// At rest all answers are in the one file: whoever copies it has them, and their checksums stand for them one by
    /// one, where a bad frame of the log takes all later ones with it.
    fn merge_log(&self) {
        let merge = "PRAGMA wal_checkpoint(TRUNCATE)";
        let _stays_in_the_log = self.connection.query_row(merge, [], |_| Ok(()));
    }

    fn write(&mut self, group: &[Op]) -> rusqlite::Result<()> {
        if group.is_empty() && self.unsaved.is_empty() {
            return Ok(());
        }
        self.set_synchronous(!self.unsaved.is_empty() || group.iter().any(Op::must_be_synced))?;
        let transaction = self.connection.transaction()?;
        for finished in &self.unsaved {
            insert_outcome(&transaction, finished.item, self.run, &finished.outcome)?;
        }
        for op in group {
            write_op(&transaction, self.run, op)?;
        }
        if let Some(Spending { earlier, now }) = &self.spending {
            // whatever is committed here was paid before: what is noted is never less than what the rows have cost
            set_meta(&transaction, "spent", &meta::spent_text(*earlier + now()))?;
        }
        transaction.commit()
    }

    /// Commits of intents alone are not synced: losing one loses no answer.
    fn set_synchronous(&mut self, on: bool) -> rusqlite::Result<()> {
        if self.synchronous != on {
            let level = if on { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.synchronous = on;
        }
        Ok(())
    }

    fn acknowledge(&mut self, group: &mut Vec<Op>) {
        let mut committed: Vec<(u64, Outcome)> = Vec::new();
        let mut receipts = Vec::new();
        let mut take = |finished: Finished| {
            committed.push((finished.index, finished.outcome));
            receipts.push(finished.receipt);
        };
        self.unsaved.drain(..).for_each(&mut take);
        for op in group.drain(..) {
            match op {
                Op::Commit(finished) => take(finished),
                // whoever asked may be gone by now
                Op::Plan(_, reply) | Op::Record(_, _, reply) | Op::Checkpoint(_, reply) => {
                    let _gone = reply.send(());
                }
                Op::Meta(_, _, reply) | Op::Rebuild(reply) => reply(Ok(())),
                Op::Listen(_) | Op::Spend(_) | Op::Finish { .. } => {}
            }
        }
        // permits first: the next calls can start while this group's lines are written
        drop(receipts);
        if !committed.is_empty() {
            self.tell(LedgerEvent::Committed(committed));
        }
    }

    fn give_back(&mut self, group: &mut Vec<Op>, error: &Error) {
        for op in group.drain(..) {
            match op {
                Op::Commit(finished) => self.unsaved.push(finished),
                Op::Meta(_, _, reply) | Op::Rebuild(reply) => reply(Err(error.clone())),
                // a reply that is dropped says that nothing may be sent
                _ => {}
            }
        }
        self.tell(LedgerEvent::Failed(Error::new(
            ErrorKind::Ledger,
            error.message(),
        )));
    }

    fn tell(&self, event: LedgerEvent) {
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }
}

fn write_op(c: &Connection, run: i64, op: &Op) -> rusqlite::Result<()> {
    match op {
        Op::Plan(rows, _) => {
            for row in rows {
                if row.intent {
                    insert_item(c, row.item, row.fingerprint.as_bytes(), run)?;
                }
                insert_layout(c, row)?;
            }
        }
        Op::Commit(finished) => insert_outcome(c, finished.item, run, &finished.outcome)?,
        Op::Record(item, attempt, _) => insert_attempt(c, *item, run, attempt)?,
        Op::Checkpoint(checkpoint, _) => set_meta(c, "checkpoint", &checkpoint_text(*checkpoint))?,
        Op::Meta(key, value, _) => set_meta(c, key, value)?,
        Op::Rebuild(_) => {
            set_meta(c, "layout_whole", "no")?;
            set_meta(c, "checkpoint", &checkpoint_text(Checkpoint::default()))?;
            c.execute_batch(
                "DELETE FROM layout;
                 CREATE INDEX IF NOT EXISTS items_by_fingerprint ON items (fingerprint);",
            )?;
        }
        Op::Finish { planned_all } => {
            if *planned_all {
                set_meta(c, "layout_whole", "yes")?;
            }
            // kept, it would cost every later insert a random page
            c.execute_batch("DROP INDEX IF EXISTS items_by_fingerprint;")?;
        }
        Op::Listen(_) | Op::Spend(_) => {}
    }
    Ok(())
}

pub(super) fn set_meta(c: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    c.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2, ?3)")?
        .execute(params![key, value, sums::meta(key, value)])?;
    Ok(())
}

pub(super) fn checkpoint_text(checkpoint: Checkpoint) -> String {
    let tail: String = checkpoint.tail.iter().map(|b| format!("{b:02x}")).collect();
    format!("{} {} {tail}", checkpoint.rows, checkpoint.bytes)
}

pub(super) fn checkpoint_from(text: &str) -> Option<Checkpoint> {
    let mut words = text.split(' ');
    let rows = words.next()?.parse().ok()?;
    let bytes = words.next()?.parse().ok()?;
    let hex = words.next()?;
    let mut tail = [0; 16];
    for (at, byte) in tail.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(Checkpoint { rows, bytes, tail })
}
