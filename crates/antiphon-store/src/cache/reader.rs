//! The thread that looks answers up. Reads block, so they are not made where calls are driven.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender},
    },
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;

use super::{Bounds, Trouble, WallTime, schema, writer::Op};

/// An answer that was used less than this ago is not noted as used again: a hit costs no write.
const USE_GRAIN: Duration = Duration::from_secs(3600);

/// A question for the thread.
pub(super) struct Ask {
    pub(super) key: [u8; 16],
    pub(super) reply: oneshot::Sender<Option<String>>,
}

pub(super) struct Reader {
    connection: Connection,
    bounds: Bounds,
    wall: WallTime,
    writes: Sender<Op>,
    trouble: Arc<Trouble>,
}

struct Found {
    entry: i64,
    used: i64,
    created: i64,
    record: String,
}

impl Reader {
    pub(super) fn new(
        connection: Connection,
        bounds: Bounds,
        wall: WallTime,
        writes: Sender<Op>,
        trouble: Arc<Trouble>,
    ) -> Self {
        Self {
            connection,
            bounds,
            wall,
            writes,
            trouble,
        }
    }

    /// Works until the cache is dropped.
    pub(super) fn work(self, queue: &Receiver<Ask>) {
        while let Ok(Ask { key, reply }) = queue.recv() {
            let found = self.find(&key).unwrap_or_else(|error| {
                self.trouble.failed(&error, self.connection.path());
                None
            });
            // whoever asked may be gone by now
            let _gone = reply.send(found.and_then(|found| self.judge(found)));
        }
    }

    /// The answer under a key, if its checksum holds.
    fn find(&self, key: &[u8; 16]) -> rusqlite::Result<Option<Found>> {
        self.connection
            .prepare_cached(
                "SELECT entry, key, created, used, sum, record FROM answers WHERE key = ?1",
            )?
            .query_row([key], |row| {
                let Ok(record) = row.get::<_, String>(5) else {
                    // what cannot even be read as text is damaged
                    return Ok(None);
                };
                let created = row.get(2)?;
                let sound = row.get::<_, i64>(4)? == schema::sum_of(key, created, &record);
                Ok(sound.then_some(Found {
                    entry: row.get(0)?,
                    created,
                    used: row.get(3)?,
                    record,
                }))
            })
            .optional()
            .map(Option::flatten)
    }

    /// The text of an answer that is young enough.
    fn judge(&self, found: Found) -> Option<String> {
        let now = (self.wall)();
        let since = |then: i64| now.saturating_sub(then.cast_unsigned());
        if let Some(max_age) = self.bounds.max_age
            && since(found.created) > max_age.as_secs()
        {
            return None;
        }
        if self.bounds.max_bytes.is_some() && since(found.used) >= USE_GRAIN.as_secs() {
            let _closed = self.writes.send(Op::Touch(found.entry));
        }
        Some(found.record)
    }
}
