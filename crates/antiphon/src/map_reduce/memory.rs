//! What a job of dependent calls remembers, and models whose calls outlast the interest in them.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_core::{
    Body, BoxFuture, ChatRequest, ChatResponse, Error, ErrorKind, Model, Reply, SharedModel, Spent,
    job::{FinishedRows, Stop, StopReason},
    layers::cache::{CacheKey, ResponseCache},
};
use antiphon_store::{Bounds, DiskCache};
use tokio_util::task::TaskTracker;

/// The file of a state folder in which answers are kept.
const FILE: &str = "calls.db";

/// Answers by request: the same call is never paid twice. An answer that cannot be kept stops the job, since whatever is
/// made of it would be lost with it.
#[derive(Debug)]
pub(super) struct Memory {
    disk: DiskCache,
    path: PathBuf,
    stop: Stop,
}

impl Memory {
    /// Whether a folder holds one.
    pub(super) fn is_in(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// Opens or begins that of a folder.
    pub(super) fn open(folder: &Path, stop: Stop) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let disk = DiskCache::open(&path, Bounds::unlimited())?;
        Ok(Self { disk, path, stop })
    }

    /// What was found when it was opened, for people: a damaged file was put aside, for instance.
    pub(super) fn notes(&self) -> Vec<String> {
        self.disk.take_notes()
    }

    /// Answers cannot be kept any more.
    fn lost(&self, error: &Error) -> StopReason {
        let message = format!("{} cannot be written: {error}", self.path.display());
        StopReason::Disk(Error::new(error.kind(), message))
    }
}

impl ResponseCache for Memory {
    fn get(&self, key: CacheKey) -> BoxFuture<'_, Option<Reply>> {
        self.disk.get(key)
    }

    fn put(&self, key: CacheKey, reply: &Reply) -> BoxFuture<'_, Result<(), Error>> {
        let kept = self.disk.put(key, reply);
        Box::pin(async move {
            let kept = kept.await;
            if let Err(error) = &kept {
                self.stop.drain(self.lost(error));
            }
            kept
        })
    }
}

/// What became of a job's calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    tasks: TaskTracker,
    told: Mutex<Told>,
}

/// Counts of calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Calls that were made.
    pub(super) asked: u64,
    /// Those that have an outcome.
    pub(super) finished: FinishedRows,
    /// What answers of earlier runs had cost.
    pub(super) earlier_runs: Spent,
}

impl Calls {
    pub(super) fn told(&self) -> Told {
        self.lock().clone()
    }

    /// Waits until none is under way any more. No further ones may be made.
    pub(super) async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn count(&self, outcome: &Result<Reply, Error>) {
        let mut told = self.lock();
        let finished = &mut told.finished;
        match outcome {
            Ok(reply) => {
                finished.succeeded += 1;
                finished.resumed += u64::from(reply.head.cached);
                if reply.head.cached {
                    told.earlier_runs += reply.answer.spent;
                }
            }
            Err(error) if error.kind() == ErrorKind::Stopped || error.stops_the_run() => {}
            Err(error) => {
                finished.failed += 1;
                *finished.errors.entry(error.kind()).or_default() += 1;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A model whose calls are waited for although their caller has given up: what is in flight is paid, so its answer is
/// kept. An error that concerns all calls stops the job.
#[derive(Clone, Debug)]
pub(super) struct Outlasting {
    pub(super) inner: SharedModel,
    pub(super) calls: Arc<Calls>,
    pub(super) stop: Stop,
}

impl Model for Outlasting {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        let Self { inner, calls, stop } = self.clone();
        calls.lock().asked += 1;
        let tasks = calls.tasks.clone();
        let call = tasks.spawn(async move {
            let outcome = inner.ask(request).await;
            if let Some(reason) = outcome.as_ref().err().and_then(StopReason::of) {
                stop.drain(reason);
            }
            calls.count(&outcome);
            outcome
        });
        Box::pin(async move {
            let outcome = call.await;
            let Reply { head, answer } =
                outcome.map_err(|error| Error::stopped(error.to_string()))??;
            Ok(ChatResponse {
                head,
                body: Body::Ready(answer),
            })
        })
    }
}
