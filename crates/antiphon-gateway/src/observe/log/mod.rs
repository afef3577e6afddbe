//! The access log: a line of JSON for each call, without prompts and answers unless they are asked for.
//!
//! ```text
//! ended ──> bounded queue ──> a thread: line ──> stderr, or a file that is reopened when it was rotated
//! ```
//!
//! A call never waits for the log: a line that finds the queue full is dropped and counted.

mod content;
mod line;
mod writer;

use std::{
    io,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use self::writer::{Told, Writer};
use super::{CallEnded, Observer};

pub use content::Content;

/// Lines that may wait to be written: some megabytes.
const QUEUE: usize = 8192;
/// The same where each holds texts.
const QUEUE_OF_TEXTS: usize = 512;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error.
    Stderr,
    /// The end of a file, which is made where there is none.
    File(PathBuf),
}

/// Writes a line for each call.
#[derive(Debug)]
pub struct AccessLog {
    queue: SyncSender<Told>,
    thread: Mutex<Option<JoinHandle<()>>>,
    has_content: bool,
    dropped: AtomicU64,
}

impl AccessLog {
    /// Opens the log. With `has_content` the messages of requests and the texts of answers are in it, cut to some
    /// kilobytes.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(target: LogTarget, has_content: bool) -> io::Result<Self> {
        let writer = Writer::open(target)?;
        let most = if has_content { QUEUE_OF_TEXTS } else { QUEUE };
        let (queue, lines) = sync_channel(most);
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run(&lines))?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
            has_content,
            dropped: AtomicU64::new(0),
        })
    }

    /// Opens the file anew, under the name that it had: it was moved away. Where that fails the old one stays.
    pub fn reopen(&self) {
        // full of lines: whoever rotates asks again
        let _full = self.queue.try_send(Told::Reopen);
    }

    /// Writes what waits, and ends. Lines that come later are dropped. It blocks until all is written.
    pub fn close(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && self.queue.send(Told::Close).is_ok()
        {
            let _panicked = thread.join();
        }
    }
}

impl Observer for AccessLog {
    fn ended(&self, end: &CallEnded) {
        match self.queue.try_send(Told::Ended(Box::new(end.clone()))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    fn wants_content(&self) -> bool {
        self.has_content
    }

    fn dropped(&self) -> Option<(&'static str, u64)> {
        Some(("log_lines", self.dropped.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests;
