//! The response cache on embedded SQLite: a thread that reads, a thread that writes in groups, a checksum in each record.

mod place;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::Sender,
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use antiphon_core::{
    BoxFuture, Error, ErrorKind, Fingerprint, Reply,
    layers::cache::{CacheKey, ResponseCache},
};
use tokio::sync::oneshot;

use crate::ledger::is_broken;
use reader::{Ask, Reader};
use writer::{Op, Writer};

/// Tells the time of day, in seconds since the beginning of 1970 (UTC).
pub type WallTime = Arc<dyn Fn() -> u64 + Send + Sync>;

/// That of this machine.
pub(crate) fn wall_time() -> WallTime {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    })
}

/// What a cache forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Answers older than this are not given any more. `None`: they never age.
    pub max_age: Option<Duration>,
    /// Bytes of all answers. Beyond it those go that have not been used for longest. `None`: as many as fit on the disk.
    pub max_bytes: Option<u64>,
}

impl Default for Bounds {
    /// 30 days, 1 GiB.
    fn default() -> Self {
        Self {
            max_age: Some(Duration::from_secs(30 * 24 * 3600)),
            max_bytes: Some(1 << 30),
        }
    }
}

impl Bounds {
    /// Nothing is forgotten: a memory of what was paid for. Then a kept answer also survives a power cut.
    pub const fn unlimited() -> Self {
        Self {
            max_age: None,
            max_bytes: None,
        }
    }

    /// Whether each commit is synced. What may be forgotten may also be lost in a power cut (not in a crash).
    fn is_synced(self) -> bool {
        self == Self::unlimited()
    }
}

/// A cache in one file, which several processes may use at once.
///
/// Trouble never comes to those who ask: what cannot be read is not there, and [`Self::take_notes`] says once what
/// happened. Dropping it waits until everything that was queued is written.
pub struct DiskCache {
    path: PathBuf,
    trouble: Arc<Trouble>,
    reads: Option<Sender<Ask>>,
    writes: Option<Sender<Op>>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for DiskCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskCache")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl DiskCache {
    /// Name of the file in a folder for caches.
    pub const FILE: &'static str = "answers.db";

    /// Opens a cache, making file (mode 0600) and folder (mode 0700) where there is none. A damaged file is moved aside
    /// and a new one begun, which [`Self::take_notes`] tells.
    ///
    /// # Errors
    /// It cannot be opened, or was written by a newer release.
    pub fn open(path: &Path, bounds: Bounds) -> Result<Self, Error> {
        Self::open_at(path, bounds, wall_time())
    }

    /// [`Self::open`] with a clock of the caller's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(path: &Path, bounds: Bounds, wall: WallTime) -> Result<Self, Error> {
        let trouble = Arc::new(Trouble::default());
        let (connections, told) = place::open(path, bounds.is_synced())?;
        trouble.note(told);
        let (write, read) = connections;
        let (writes, to_write) = std::sync::mpsc::channel();
        let (reads, to_read) = std::sync::mpsc::channel();
        let writer = Writer::new(write, bounds, wall.clone(), trouble.clone());
        let reader = Reader::new(read, bounds, wall, writes.clone(), trouble.clone());
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let threads = [
            thread("cache-write").spawn(move || writer.work(&to_write)),
            thread("cache-read").spawn(move || reader.work(&to_read)),
        ];
        let threads: Result<Vec<_>, _> = threads.into_iter().collect();
        Ok(Self {
            path: path.to_owned(),
            trouble,
            reads: Some(reads),
            writes: Some(writes),
            threads: threads.map_err(|error| cache_error(path, &error))?,
        })
    }

    /// What went wrong since the last time this was asked, for people. The same trouble is told once.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.trouble.notes())
    }

    /// The kept text, or that there is none.
    async fn look_up(&self, key: CacheKey) -> Option<String> {
        if self.trouble.is_broken() {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            key: hash_of(key),
            reply,
        };
        self.reads.as_ref()?.send(ask).ok()?;
        answer.await.ok()?
    }
}

impl Drop for DiskCache {
    fn drop(&mut self) {
        // the threads end with their queues; the reader holds one end of the writer's
        drop((self.reads.take(), self.writes.take()));
        for thread in self.threads.drain(..) {
            // a thread that panicked has nothing more to write
            let _ended = thread.join();
        }
    }
}

impl ResponseCache for DiskCache {
    fn get(&self, key: CacheKey) -> BoxFuture<'_, Option<Reply>> {
        Box::pin(async move { Reply::from_record(&self.look_up(key).await?) })
    }

    fn put(&self, key: CacheKey, reply: &Reply) -> BoxFuture<'_, Result<(), Error>> {
        let (done, kept) = oneshot::channel();
        let op = Op::Put {
            key: hash_of(key),
            record: reply.to_record(),
            done,
        };
        if let Some(writes) = &self.writes {
            // a thread that is gone drops the reply, which says it too
            let _gone = writes.send(op);
        }
        Box::pin(async move {
            let gone = |_| Error::new(ErrorKind::Ledger, "the cache is closed");
            kept.await.map_err(gone)?
        })
    }
}

/// Fingerprint and sample in 16 bytes.
fn hash_of(key: CacheKey) -> [u8; 16] {
    let mut bytes = key.fingerprint.as_bytes().to_vec();
    bytes.extend(key.sample.to_le_bytes());
    *Fingerprint::of_bytes("cache", &bytes).as_bytes()
}

fn cache_error(path: &Path, error: &dyn std::fmt::Display) -> Error {
    let message = format!("the cache {} cannot be used: {error}", path.display());
    Error::new(ErrorKind::Ledger, message)
}

/// What went wrong, for whoever asks.
#[derive(Debug, Default)]
struct Trouble {
    /// The file is damaged: nothing more is asked of it.
    broken: AtomicBool,
    failed: AtomicBool,
    notes: Mutex<Vec<String>>,
}

impl Trouble {
    fn notes(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, told: Option<String>) {
        self.notes().extend(told);
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Notes a failed read or write, the first time, and that the file is damaged, once. A damaged file is marked for
    /// whoever opens it next.
    fn failed(&self, error: &rusqlite::Error, path: Option<&str>) {
        // the threads may meet the same trouble at once
        let mut notes = self.notes();
        let is_new_damage = is_broken(error) && !self.broken.swap(true, Relaxed);
        if is_new_damage && let Some(path) = path {
            place::mark(Path::new(path));
        }
        if !self.failed.swap(true, Relaxed) || is_new_damage {
            let what = match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => "the disk is full".to_owned(),
                _ if self.is_broken() => format!("it is damaged ({error})"),
                _ => error.to_string(),
            };
            notes.push(format!(
                "the cache failed, and calls went on without it: {what}"
            ));
        }
    }
}
