//! The thread that writes: takes what is queued, commits it as a group, and only then tells. Then it makes room.

use std::sync::{Arc, mpsc::Receiver};

use antiphon_core::{Error, ErrorKind};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::{
    Bounds, Trouble, WallTime,
    schema::{size, size_of, sum_of},
};
use crate::sum::Sum;

/// Operations of one commit, and answers that go in one: other processes wait meanwhile.
const MOST_IN_A_GROUP: usize = 1024;
/// Once there are too many bytes, a tenth more than that goes: room is made in batches, not answer by answer.
const ROOM: u64 = 10;

/// What can be queued.
pub(super) enum Op {
    Put {
        key: [u8; 16],
        record: String,
        done: oneshot::Sender<Result<(), Error>>,
    },
    /// An answer was used.
    Touch(i64),
}

pub(super) struct Writer {
    connection: Connection,
    bounds: Bounds,
    wall: WallTime,
    trouble: Arc<Trouble>,
    // there were too many bytes, and there is not yet room for a while
    is_shrinking: bool,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        bounds: Bounds,
        wall: WallTime,
        trouble: Arc<Trouble>,
    ) -> Self {
        Self {
            connection,
            bounds,
            wall,
            trouble,
            is_shrinking: false,
        }
    }

    /// Works until the cache is dropped.
    pub(super) fn work(mut self, queue: &Receiver<Op>) {
        let mut group = Vec::new();
        self.make_room();
        while let Ok(first) = queue.recv() {
            group.push(first);
            while group.len() < MOST_IN_A_GROUP
                && let Ok(next) = queue.try_recv()
            {
                group.push(next);
            }
            self.commit_group(&mut group);
            self.make_room();
        }
    }

    fn commit_group(&mut self, group: &mut Vec<Op>) {
        let written = if self.trouble.is_broken() {
            Err(unwritten(&"it is damaged"))
        } else {
            self.write(group).map_err(|error| {
                self.trouble.failed(&error, self.connection.path());
                unwritten(&error)
            })
        };
        for op in group.drain(..) {
            if let Op::Put { done, .. } = op {
                // whoever asked may be gone by now
                let _gone = done.send(written.clone());
            }
        }
    }

    fn write(&mut self, group: &[Op]) -> rusqlite::Result<()> {
        let now = (self.wall)().cast_signed();
        let most = self.most_bytes();
        let transaction = begin(&mut self.connection)?;
        let mut grown = 0;
        for op in group {
            match op {
                Op::Put { key, record, .. } => {
                    grown += forget(&transaction, key)?;
                    // an answer that would drive out all others is not kept
                    if size_of(record) <= most {
                        grown += insert(&transaction, key, now, record)?;
                    }
                }
                Op::Touch(entry) => {
                    transaction
                        .prepare_cached("UPDATE answers SET used = ?2 WHERE entry = ?1")?
                        .execute(params![entry, now])?;
                }
            }
        }
        add_to_total(&transaction, grown)?;
        transaction.commit()
    }

    fn most_bytes(&self) -> i64 {
        let most = self.bounds.max_bytes.unwrap_or(u64::MAX);
        i64::try_from(most).unwrap_or(i64::MAX)
    }

    /// Lets a batch of answers go: those that are too old, and while there are too many bytes those that were not used
    /// for longest. What is more waits for the next time, and the next commit does not wait for it.
    fn make_room(&mut self) {
        if self.trouble.is_broken() {
            return;
        }
        if let Err(error) = self.let_old_go().and_then(|()| self.let_unused_go()) {
            self.trouble.failed(&error, self.connection.path());
        }
    }

    /// Rows are appended, so the oldest are the first.
    fn let_old_go(&mut self) -> rusqlite::Result<()> {
        let Some(max_age) = self.bounds.max_age else {
            return Ok(());
        };
        let oldest = "SELECT created FROM answers ORDER BY entry LIMIT 1";
        let oldest: Option<i64> = self
            .connection
            .prepare_cached(oldest)?
            .query_row([], |row| row.get(0))
            .optional()?;
        let before = (self.wall)().saturating_sub(max_age.as_secs());
        if oldest.is_none_or(|created| created >= before.cast_signed()) {
            return Ok(());
        }
        let select = format!(
            "SELECT entry, {} FROM (SELECT * FROM answers ORDER BY entry LIMIT {MOST_IN_A_GROUP})
             WHERE created < {before}",
            size()
        );
        self.let_go(&select, i64::MIN)
    }

    fn let_unused_go(&mut self) -> rusqlite::Result<()> {
        let Some(max_bytes) = self.bounds.max_bytes else {
            return Ok(());
        };
        let least = (max_bytes - max_bytes / ROOM).cast_signed();
        let goal = if self.is_shrinking {
            least
        } else {
            self.most_bytes()
        };
        self.is_shrinking = total(&self.connection)? > goal;
        if !self.is_shrinking {
            return Ok(());
        }
        let select = format!(
            "SELECT entry, {} FROM answers ORDER BY used, entry LIMIT {MOST_IN_A_GROUP}",
            size()
        );
        self.let_go(&select, least)
    }

    /// Deletes what `select` finds until no more than `least` bytes are left.
    fn let_go(&mut self, select: &str, least: i64) -> rusqlite::Result<()> {
        let transaction = begin(&mut self.connection)?;
        let mut bytes = total(&transaction)?;
        {
            let mut select = transaction.prepare(select)?;
            let mut delete = transaction.prepare_cached("DELETE FROM answers WHERE entry = ?1")?;
            let found: Vec<(i64, i64)> = select
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            for (entry, size) in found {
                if bytes <= least {
                    break;
                }
                delete.execute([entry])?;
                bytes -= size;
            }
        }
        set_total(&transaction, bytes)?;
        transaction.commit()
    }
}

/// Takes the right to write at once: one that is taken later can fail, where another process wrote in between.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Deletes the answer under a key: by how many bytes the total grows.
fn forget(c: &Connection, key: &[u8; 16]) -> rusqlite::Result<i64> {
    let size: Option<i64> = c
        .prepare_cached(&format!(
            "DELETE FROM answers WHERE key = ?1 RETURNING {}",
            size()
        ))?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(-size.unwrap_or(0))
}

fn insert(c: &Connection, key: &[u8; 16], now: i64, record: &str) -> rusqlite::Result<i64> {
    c.prepare_cached("INSERT INTO answers VALUES (NULL, ?1, ?2, ?2, ?3, ?4)")?
        .execute(params![key, now, sum_of(key, now, record), record])?;
    Ok(size_of(record))
}

fn add_to_total(c: &Connection, grown: i64) -> rusqlite::Result<()> {
    let bytes = match known_total(c)? {
        Some(bytes) => bytes.saturating_add(grown),
        // what has grown is there to be counted
        None => counted(c)?,
    };
    set_total(c, bytes)
}

/// Bytes of all answers.
fn total(c: &Connection) -> rusqlite::Result<i64> {
    match known_total(c)? {
        Some(bytes) => Ok(bytes),
        None => counted(c),
    }
}

/// The total as it was noted, unless that is missing or damaged.
fn known_total(c: &Connection) -> rusqlite::Result<Option<i64>> {
    let noted: Option<(i64, i64)> = c
        .prepare_cached("SELECT bytes, sum FROM total WHERE one = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(noted.and_then(|(bytes, sum)| (sum == sum_of_total(bytes)).then_some(bytes)))
}

fn counted(c: &Connection) -> rusqlite::Result<i64> {
    let sum = format!("SELECT coalesce(sum({}), 0) FROM answers", size());
    c.query_row(&sum, [], |row| row.get(0))
}

fn set_total(c: &Connection, bytes: i64) -> rusqlite::Result<()> {
    let bytes = bytes.max(0);
    c.prepare_cached("INSERT OR REPLACE INTO total VALUES (1, ?1, ?2)")?
        .execute([bytes, sum_of_total(bytes)])?;
    Ok(())
}

fn sum_of_total(bytes: i64) -> i64 {
    Sum::of("total").number(bytes).finish()
}

fn unwritten(why: &dyn std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Ledger,
        format!("the cache cannot be written: {why}"),
    )
}
