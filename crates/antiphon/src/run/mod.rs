//! `antiphon run`: a file of requests in, one line for each out.

mod about;
mod budget;
pub(crate) mod check;
mod estimate;
mod feed;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod plan;
mod readable;
mod report;
mod resume;
mod strict;
mod terminal;
pub(crate) mod timeline;

use std::{
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use antiphon_core::{
    Spent,
    job::{Job, Order, Progress, ProgressSnapshot, Stop, StopReason, drain_at_deadline},
    layers::{admit::AccountSnapshot, meter::Metrics, spend::Budget},
};
use serde_json::{Map, Value};

use crate::{
    Config,
    env::Lookup,
    session::{Session, SessionOptions},
};

pub use crate::lines::{Analysis, Variant};
pub use about::About;
pub use estimate::{ModelEstimate, RunEstimate, TimeEstimate};
pub use input::Input;
pub use output::Output;
pub use report::{Course, Latency, ModelReport, Report};
pub use terminal::harmless_json;
pub use timeline::Step;

/// Retries of a row where neither a flag nor the configuration says: nobody sits and waits for a single one.
pub const USUAL_MAX_RETRIES: u32 = 10;

/// What a run shall do: flags as they were meant.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where rows come from.
    pub input: Input,
    /// Format of the input, where its name does not tell.
    pub input_format: Option<String>,
    /// Where lines go.
    pub output: Output,
    /// The state folder, in place of `OUTPUT.antiphon`.
    pub state: Option<PathBuf>,
    /// The model of every row.
    pub model: Option<String>,
    /// Template of the user message.
    pub prompt: Option<String>,
    /// Ways to ask every row, in place of `model` and `prompt`: each row is answered once for each of them. Row `i` of the
    /// input becomes the lines `i * variants.len()` and following.
    pub variants: Vec<Variant>,
    /// What is asked about every row, which then is a document with a `text`, in place of a prompt and a schema. The output
    /// carries the document without its text as `input`.
    pub analysis: Option<Analysis>,
    /// Template of the system message.
    pub system: Option<String>,
    /// JSON Schema of every answer.
    pub schema: Option<Value>,
    /// Parameters of every request.
    pub params: Map<String, Value>,
    /// Limits, provider and retries.
    pub session: SessionOptions,
    /// The folder in which answers are kept for later runs, where they are.
    pub cache_dir: Option<PathBuf>,
    /// Order of the output.
    pub order: Order,
    /// Rows of the input to read at most.
    pub limit: Option<u64>,
    /// Of these so many, drawn at random: the same ones each time, and all of a smaller sample.
    pub sample: Option<NonZeroU64>,
    /// Time for the whole run.
    pub deadline: Option<Duration>,
    /// Refuse input with a bad line, and parameters that a target cannot take.
    pub strict: bool,
    /// Move earlier output and state aside.
    pub fresh: bool,
    /// Send rows again that failed for good.
    pub retry_failed: bool,
    /// Failures that this run of the job and later ones have found are not asked again: it was interrupted, and this one
    /// goes on in its place.
    pub failures_stand_since: Option<i64>,
    /// Rows that are read and not yet finished, at most; else as many as the limit of calls in flight suggests.
    pub most_rows_at_once: Option<NonZeroU32>,
    /// Stop when more of the finished rows fail.
    pub max_error_rate: Option<f64>,
    /// Keep the input line in the output.
    pub include_input: bool,
}

impl RunOptions {
    /// A run over all rows of an input with the models and prompts that they name, and no limits but the usual ones.
    pub fn new(input: Input, output: Output) -> Self {
        Self {
            input,
            input_format: None,
            output,
            state: None,
            model: None,
            prompt: None,
            variants: Vec::new(),
            analysis: None,
            system: None,
            schema: None,
            params: Map::new(),
            session: SessionOptions {
                usual_max_retries: Some(USUAL_MAX_RETRIES),
                ..SessionOptions::default()
            },
            cache_dir: None,
            order: Order::Input,
            limit: None,
            sample: None,
            deadline: None,
            strict: false,
            fresh: false,
            retry_failed: false,
            failures_stand_since: None,
            most_rows_at_once: None,
            max_error_rate: None,
            include_input: false,
        }
    }
}

/// Why a run did not start. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunError {
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether a disk is at fault, full for instance: then the same command goes on once it is not.
    pub is_of_disk: bool,
    /// Whether another run works on the same output.
    pub is_busy: bool,
}

impl RunError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            is_of_disk: false,
            is_busy: false,
        }
    }

    /// The operating system refused; the message is about that.
    pub(crate) fn of_system(message: impl Into<String>, error: &std::io::Error) -> Self {
        Self {
            is_of_disk: antiphon_store::is_of_disk(error),
            ..Self::usage(message)
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RunError {}

/// A run that is ready: everything was checked, nothing was sent.
#[derive(Debug)]
pub struct PreparedRun {
    job: Job,
    deadline: Option<Duration>,
    feed: feed::Feed,
    limit: Option<u64>,
    watch: RunWatch,
    /// What the user should be told before the first call.
    pub notes: Vec<String>,
    // given back when the run is over: a copy of the input, the lock, and a temporary folder
    _spool: Option<input::Spool>,
    _state: plan::State,
    lines: Arc<crate::lines::Lines>,
}

/// A view of a run from outside: how far it is, and the switch that drains it.
#[derive(Clone, Debug)]
pub struct RunWatch {
    progress: Arc<Progress>,
    session: Arc<Session>,
    /// What earlier runs of the job have spent.
    earlier_runs: Spent,
    /// Which run of the job it is: the first is 1.
    run: i64,
    stop: Stop,
    started: Instant,
}

/// How a run ended.
#[derive(Debug)]
pub struct RunEnd {
    /// The numbers.
    pub report: Report,
    /// Why it stopped early, where it did.
    pub stopped: Option<StopReason>,
    /// How far it came.
    pub progress: ProgressSnapshot,
    /// What flags took the place of in lines, and parameters that targets could not take.
    pub notes: Vec<String>,
}

impl RunWatch {
    /// The report as it stands.
    pub fn report(&self) -> Report {
        Report::new(
            &self.progress.snapshot(),
            &self.session.metrics().snapshot(),
            self.earlier_runs,
            self.session.budget().map(Budget::snapshot),
            self.started.elapsed(),
        )
    }

    fn counted(&self) -> timeline::Counted {
        timeline::Counted::of(&self.progress.snapshot().finished, self.metrics())
    }

    /// A run that stopped early has not read all of its input. How many rows wait in the rest is counted.
    async fn count_the_rest(&self, feed: feed::Feed, limit: Option<u64>) {
        let read = self.progress.snapshot();
        if read.is_exact {
            return;
        }
        let all = tokio::task::spawn_blocking(move || feed.count_rows(&read, limit));
        // an input that is gone by now leaves what was judged by the share that was read
        if let Ok(Some(all)) = all.await {
            self.progress.counted(all);
        }
    }

    /// What all runs of the job have spent so far.
    pub fn job_spent(&self) -> Spent {
        self.earlier_runs + self.metrics().snapshot().spent()
    }

    /// Which run of the job it is: the first is 1.
    pub fn run(&self) -> i64 {
        self.run
    }

    /// How far the run is.
    pub fn progress(&self) -> ProgressSnapshot {
        self.progress.snapshot()
    }

    /// What the calls have measured.
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.session.metrics()
    }

    /// The state of each account.
    pub fn accounts(&self) -> Vec<AccountSnapshot> {
        let accounts = self.session.accounts();
        accounts.iter().map(|account| account.snapshot()).collect()
    }

    /// How long the account that waits longest will wait, because its provider said that it is asked too often.
    pub fn longest_pause(&self) -> Option<Duration> {
        let accounts = self.session.accounts();
        let pauses = accounts.iter().filter_map(|account| {
            let until = account.snapshot().paused_until?;
            Some(until.since(account.clock().now()))
        });
        pauses.max()
    }

    /// The switch that drains the run.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }
}

impl PreparedRun {
    /// Checks everything that can be checked without sending: input, output, templates, models, keys, ledger.
    ///
    /// # Errors
    /// [`RunError`]; nothing was sent and nothing of the user's was changed.
    pub fn new(options: RunOptions, config: Config, env: Lookup<'_>) -> Result<Self, RunError> {
        plan::prepare(options, config, env)
    }

    /// A view of the run.
    pub fn watch(&self) -> RunWatch {
        self.watch.clone()
    }

    /// Runs to the end, or until it is drained.
    pub async fn run(self) -> RunEnd {
        let watch = RunWatch {
            started: Instant::now(),
            ..self.watch
        };
        let stop = watch.stop.clone();
        let deadline = self
            .deadline
            .map(|deadline| tokio::spawn(drain_at_deadline(stop, deadline)));
        let recorder = timeline::Recorder::new(watch.session.clock().clone());
        tokio::select! {
            () = self.job.run() => {}
            never = recorder.record(|| watch.counted()) => match never {},
        }
        if let Some(deadline) = deadline {
            deadline.abort();
        }
        let unwritten = budget::end(&watch.session).await;
        watch.count_the_rest(self.feed, self.limit).await;
        let progress = watch.progress();
        let mut notes: Vec<String> = self
            .lines
            .overridden()
            .iter()
            .map(|flag| format!("{flag} took the place of what lines of the input say"))
            .collect();
        notes.extend(
            progress
                .dropped
                .iter()
                .map(|dropped| format!("parameter left out: {dropped}")),
        );
        notes.extend(watch.session.cache_notes());
        notes.extend(watch.session.retirement_notes());
        notes.extend(watch.session.unpriced_notes());
        notes.extend(unwritten);
        let (counted, metrics) = (watch.counted(), watch.metrics());
        let course = Course::new(&recorder, counted, metrics, &watch.progress.notable());
        RunEnd {
            report: Report {
                course: Some(course),
                ..watch.report()
            },
            stopped: watch.stop.reason(),
            progress,
            notes,
        }
    }
}
