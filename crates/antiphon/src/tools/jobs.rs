//! The jobs that tools of this process run.
//!
//! A job has a task of its own: whoever called the tool may go at any time, and what was begun ends in order.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use antiphon_core::{Error, ErrorKind, job::StopReason};
use tokio_util::sync::CancellationToken;

use crate::run::RunWatch;

/// Jobs that were given up, of which it is remembered. Of an older one failed rows may be asked once more.
const MOST_GIVEN_UP: usize = 1000;

/// Jobs by their output.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    running: Mutex<HashMap<PathBuf, Arc<Running>>>,
    /// Jobs that were given up before their end, and the run in which that series began: what fails in it stands until a
    /// call comes to its end. A call that the protocol makes again and again would ask such rows each time.
    given_up: Mutex<VecDeque<GivenUp>>,
}

/// A job that was given up.
#[derive(Debug)]
struct GivenUp {
    output: PathBuf,
    /// Whether rows were asked again that had failed for good: a call that says otherwise is no repetition of it.
    retry_failed: bool,
    first_run: i64,
}

/// A job that runs.
#[derive(Debug, Default)]
pub(super) struct Running {
    given_up: CancellationToken,
    ended: CancellationToken,
    watch: OnceLock<RunWatch>,
}

impl Running {
    /// Nothing new is sent, and the job ends.
    pub(super) fn give_up(&self) {
        self.given_up.cancel();
        if let Some(watch) = self.watch.get() {
            watch.stop().drain(StopReason::Interrupted);
        }
    }

    /// Is cancelled once it was given up.
    pub(super) fn given_up(&self) -> &CancellationToken {
        &self.given_up
    }

    /// A view of it, once all is checked.
    pub(super) fn watch(&self) -> Option<&RunWatch> {
        self.watch.get()
    }
}

/// The right to run the job of an output, for as long as this value lives.
#[derive(Debug)]
pub(super) struct Place {
    jobs: Arc<Jobs>,
    output: PathBuf,
    pub(super) running: Arc<Running>,
}

impl Place {
    /// All is checked: it begins. Where it was given up meanwhile, it sends nothing.
    pub(super) fn begins(&self, watch: RunWatch) {
        // it begins once
        let _first = self.running.watch.set(watch);
        if self.running.given_up.is_cancelled() {
            self.running.give_up();
        }
    }

    /// The run from which on failures stand.
    pub(super) fn failures_stand_since(&self, retry_failed: bool) -> Option<i64> {
        let given_up = lock(&self.jobs.given_up);
        let known = given_up.iter().find(|job| job.output == self.output)?;
        (known.retry_failed == retry_failed).then_some(known.first_run)
    }

    /// It came to an end with so many rows left, in a series of calls that began with this run of the job.
    pub(super) fn ends(&self, first_run: i64, retry_failed: bool, pending: u64) {
        let mut given_up = lock(&self.jobs.given_up);
        given_up.retain(|job| job.output != self.output);
        if self.running.given_up.is_cancelled() && pending > 0 {
            given_up.push_back(GivenUp {
                output: self.output.clone(),
                retry_failed,
                first_run,
            });
            // a server may live long
            if given_up.len() > MOST_GIVEN_UP {
                given_up.pop_front();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.jobs.running).remove(&self.output);
        self.running.ended.cancel();
    }
}

impl Jobs {
    /// Takes the place of an output's job. One that was given up is waited for.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`]: its job runs.
    pub(super) async fn place(self: &Arc<Self>, output: &Path) -> Result<Place, Error> {
        loop {
            let other = match self.take(output) {
                Ok(place) => return Ok(place),
                Err(other) => other,
            };
            if !other.given_up.is_cancelled() {
                return Err(is_running(output));
            }
            other.ended.cancelled().await;
        }
    }

    fn take(self: &Arc<Self>, output: &Path) -> Result<Place, Arc<Running>> {
        let mut jobs = lock(&self.running);
        if let Some(other) = jobs.get(output) {
            return Err(Arc::clone(other));
        }
        let running = Arc::new(Running::default());
        jobs.insert(output.to_owned(), Arc::clone(&running));
        Ok(Place {
            jobs: Arc::clone(self),
            output: output.to_owned(),
            running,
        })
    }

    /// The job of an output that runs in this process.
    pub(super) fn of(&self, output: &Path) -> Option<Arc<Running>> {
        lock(&self.running).get(output).cloned()
    }

    /// Gives all of them up, and waits for their ends, but no longer than that.
    pub(super) async fn end(&self, most: Duration) {
        let running: Vec<_> = lock(&self.running).values().cloned().collect();
        running.iter().for_each(|job| job.give_up());
        let all = async {
            for job in &running {
                job.ended.cancelled().await;
            }
        };
        // what is still out then is asked again by the next run
        let _in_time = tokio::time::timeout(most, all).await;
    }
}

/// Somebody runs the job of this output.
pub(super) fn is_running(output: &Path) -> Error {
    let message = format!(
        "the job that writes {} is running; job_status with this output tells how far it is, and run_file goes on with it \
         once it has ended",
        output.display()
    );
    Error::new(ErrorKind::BadRequest, message)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_remembered_of_jobs_is_bounded() {
        let jobs = Arc::new(Jobs::default());
        let output = |number: usize| PathBuf::from(format!("{number}.jsonl"));
        for number in 0..=MOST_GIVEN_UP {
            let place = jobs.place(&output(number)).await.unwrap();
            place.running.give_up();
            place.ends(number as i64 + 1, false, 1);
        }
        assert!(lock(&jobs.running).is_empty());
        assert_eq!(lock(&jobs.given_up).len(), MOST_GIVEN_UP);
        for (number, since) in [(0, None), (1, Some(2)), (1000, Some(1001))] {
            let place = jobs.place(&output(number)).await.unwrap();
            assert_eq!(place.failures_stand_since(false), since);
            assert_eq!(place.failures_stand_since(true), None);
            // one that comes to its end is forgotten
            place.ends(7, false, 0);
            assert_eq!(place.failures_stand_since(false), None);
        }
    }
}
