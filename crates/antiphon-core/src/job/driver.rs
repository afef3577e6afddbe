//! Runs a job: a bounded window of rows, always full, no waves.
//!
//! ```text
//! planner (thread) ──batches──> driver ──a task a row──> model stack
//!     │                                                     │ outcome + receipt
//!     └──rows──> sequencer (thread) <──committed── ledger <─┘
//!                    └──> sink, in input order
//! ```
//! A row leaves the window when its outcome is durable: the ledger drops the row's receipt after the commit, which frees
//! the model's permit and the row's place in the window at once.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::{
    config::JobConfig,
    ledger::{Finished, Ledger, LedgerEvent, Outcome},
    planner::{Batch, Planner, Send},
    progress::Progress,
    row::{Prepare, Seen, Source},
    row_journal::RowJournal,
    sequencer::{Notice, Sequencer},
    sink::Sink,
    stop::{Stop, StopReason},
    survey::{Comparison, Settled},
};
use crate::{
    Error, ErrorKind,
    chat::{Receipt, Reply},
};

/// Bytes of raw lines in the window.
const WINDOW_BYTES: u32 = 64 << 20;
/// Batches between planner and driver.
const BATCHES_AHEAD: usize = 2;
/// How long a draining job waits for the planner to notice.
const PLANNER_GRACE: Duration = Duration::from_millis(200);
/// Notices that wait for the sequencer before those who send them wait.
const NOTICES_AHEAD: usize = 256;

/// The parts of a job.
pub struct Job {
    /// Where rows come from.
    pub source: Box<dyn Source>,
    /// What they mean.
    pub prepare: Arc<dyn Prepare>,
    /// What is remembered.
    pub ledger: Arc<dyn Ledger>,
    /// Where lines go.
    pub sink: Box<dyn Sink>,
    /// Counts equal rows.
    pub seen: Box<dyn Seen>,
    /// How the survey compared input and ledger.
    pub comparison: Comparison,
    /// What the survey has settled; nothing where the output does not go on after it.
    pub settled: Settled,
    /// Settings.
    pub config: JobConfig,
    /// Counters, shared with whoever shows them.
    pub progress: Arc<Progress>,
    /// The switch that drains the job.
    pub stop: Stop,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Job {
    /// Runs until every row has an outcome or the job is drained. Everything that is finished is durable and in the
    /// output when this returns; `Stop::reason` and `Progress::snapshot` tell how it ended.
    ///
    /// # Panics
    /// When a thread cannot be started.
    pub async fn run(self) {
        let Self {
            mut source,
            prepare,
            ledger,
            mut sink,
            mut seen,
            comparison,
            settled,
            config,
            progress,
            stop,
        } = self;
        let (notices, inbox) = std::sync::mpsc::sync_channel(NOTICES_AHEAD);
        let (batch_sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let config = Arc::new(config);
        let written_before = sink.start().rows;

        let sequencer = tokio::task::spawn_blocking({
            let (ledger, progress, stop) = (ledger.clone(), progress.clone(), stop.clone());
            let config = config.clone();
            move || {
                Sequencer::new(&*ledger, &mut *sink, &progress, &stop, &config).run(&inbox);
            }
        });
        ledger.listen(Box::new({
            let (notices, stop) = (notices.clone(), stop.clone());
            move |event| {
                // here and not behind notices that wait for a slow reader of the output: each call in between would
                // be paid for nothing
                if let LedgerEvent::Failed(error) = &event {
                    stop.drain(StopReason::Disk(error.clone()));
                }
                // the sequencer is gone only when the job is over
                drop(notices.send(Notice::Ledger(event)));
            }
        }));
        let (planned, all_planned) = oneshot::channel();
        let (has_read, read) = oneshot::channel();
        std::thread::spawn({
            let (ledger, progress, stop) = (ledger.clone(), progress.clone(), stop.clone());
            let config = config.clone();
            move || {
                let planner = Planner {
                    source: &mut *source,
                    prepare: &*prepare,
                    ledger: &*ledger,
                    seen: &mut *seen,
                    config: &config,
                    comparison,
                    settled,
                    written_before,
                    progress: &progress,
                    stop: &stop,
                    notices,
                    has_read: Some(has_read),
                    batches: batch_sender,
                };
                let all = planner.run();
                // nobody listens any more only when the job is over
                let _job_is_over = planned.send(all);
            }
        });
        send_rows(batches, &ledger, &progress, &stop, config.window_rows).await;
        let planned_all = tokio::select! {
            all = all_planned => all.unwrap_or(false),
            // a planner that waits for a pipe to speak cannot be woken; the job does not wait for it
            () = planner_grace(&stop, read) => false,
        };
        ledger.finish(planned_all);
        if let Err(panic) = sequencer.await {
            stop.drain(StopReason::Disk(Error::stopped(panic.to_string())));
        }
    }
}

/// Ends when a draining job need not wait any longer; never, once the planner has done with the input: what it still does
/// takes its time and comes to an end.
async fn planner_grace(stop: &Stop, has_read: oneshot::Receiver<()>) {
    stop.draining().cancelled().await;
    if tokio::time::timeout(PLANNER_GRACE, has_read).await.is_ok() {
        std::future::pending().await
    }
}

/// Keeps the window full until the planner is done, then waits for the rows in it.
async fn send_rows(
    mut batches: mpsc::Receiver<Batch>,
    ledger: &Arc<dyn Ledger>,
    progress: &Arc<Progress>,
    stop: &Stop,
    window_rows: u32,
) {
    let tasks = TaskTracker::new();
    let rows = Arc::new(Semaphore::new(window_rows as usize));
    let bytes = Arc::new(Semaphore::new(WINDOW_BYTES as usize));
    'batches: while let Some(batch) = batches.recv().await {
        // a ledger that cannot be written drops the reply: then nothing may be sent
        if let Some(committed) = batch.committed
            && committed.await.is_err()
        {
            break;
        }
        for send in batch.sends {
            let size = u32::try_from(send.bytes).unwrap_or(u32::MAX);
            let place = async {
                // a window of calls and not of rows: the members of far more rows than fit the gate would all be asked
                // before the first row is decided
                let width = send.call.width.clamp(1, window_rows);
                let row = rows.clone().acquire_many_owned(width).await;
                let bytes = bytes.clone().acquire_many_owned(size.min(WINDOW_BYTES));
                Some((row.ok()?, bytes.await.ok()?))
            };
            let place = tokio::select! {
                biased;
                () = stop.draining().cancelled() => break 'batches,
                place = place => place,
            };
            let Some(place) = place else { break 'batches };
            tasks.spawn(answer_row(
                send,
                ledger.clone(),
                progress.clone(),
                stop.clone(),
                place,
            ));
        }
    }
    // a planner that waits for room must see that nobody reads any more
    drop(batches);
    tasks.close();
    tasks.wait().await;
}

type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// One row: ask, judge, hand the outcome to the ledger.
async fn answer_row(
    send: Send,
    ledger: Arc<dyn Ledger>,
    progress: Arc<Progress>,
    stop: Stop,
    place: Place,
) {
    let Send {
        index,
        item,
        existed,
        mut call,
        ..
    } = send;
    let schema = call.request.schema.clone();
    if call.is_journaled {
        match RowJournal::open(ledger.clone(), item, existed) {
            Ok(journal) => call.request.journal = Some(journal),
            Err(error) => return stop.drain(StopReason::Disk(error)),
        }
    }
    let answered = match call.model.call(call.request).await {
        Ok(response) => response.whole().await,
        Err(error) => Err(error),
    };
    let (outcome, receipt) = match answered {
        Ok(Reply { mut head, answer }) => {
            head.dropped.extend(call.dropped);
            if !head.dropped.is_empty() {
                progress.note_dropped(&head.model, &head.dropped);
            }
            if head.cached {
                progress.note_avoided(answer.spent);
            }
            let gathered = head.gathered.as_deref();
            if let Some(decision) = gathered.and_then(|gathered| gathered.decision.as_ref()) {
                progress.note_decision(decision);
            }
            let outcome = Outcome::answered(&head, &answer, schema.as_ref());
            (outcome, head.receipt)
        }
        Err(error) => match StopReason::of(&error) {
            // the row stays pending: it has no line, and the next run sends it
            Some(reason) => return stop.drain(reason),
            None if error.kind() == ErrorKind::Stopped => return,
            None => (Outcome::failed(call.model.name(), &error), None),
        },
    };
    ledger.commit(Finished {
        index,
        item,
        outcome,
        receipt: Some(Receipt::new((receipt, place))),
    });
}

/// Drains the job when its time is up. Without any time that is now, before the future is first polled: nothing is sent.
pub fn drain_at_deadline(stop: Stop, deadline: Duration) -> impl Future<Output = ()> + use<> {
    if deadline.is_zero() {
        stop.drain(StopReason::Deadline);
    }
    async move {
        tokio::time::sleep(deadline).await;
        stop.drain(StopReason::Deadline);
    }
}
