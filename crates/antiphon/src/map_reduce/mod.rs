//! `antiphon map-reduce`: one text from many documents, as a job that remembers its calls.

mod budget;
mod documents;
mod memory;
mod plan;
mod target;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use antiphon_core::{
    ErrorKind,
    job::{Notable, ProgressSnapshot, Stop, StopReason, drain_at_deadline},
    layers::{meter::Metrics, spend::Budget},
    patterns::{Document, MapReduce, MapReduceError, MapReduced, OnFailure},
};
use antiphon_store::BudgetFile;
use serde_json::{Map, Value};

use crate::{
    Config,
    env::Lookup,
    run::{
        Course, Report, RunError,
        timeline::{Counted, Recorder},
    },
    session::{Session, SessionOptions},
};
use memory::Calls;
use target::Target;

/// What a map-reduce shall do: flags as they were meant.
#[derive(Clone, Debug)]
pub struct MapReduceOptions {
    /// Files of which each is a document; a `.jsonl` file holds one a line.
    pub files: Vec<PathBuf>,
    /// Where the text goes; without one it is the caller's to show.
    pub output: Option<PathBuf>,
    /// The state folder, in place of `OUTPUT.antiphon`.
    pub state: Option<PathBuf>,
    /// Move earlier output and answers aside.
    pub fresh: bool,
    /// The model.
    pub model: Option<String>,
    /// The model of reduce steps, where it is another.
    pub reduce_model: Option<String>,
    /// What is done with each document: an instruction, or a template that names `text`.
    pub map: Option<String>,
    /// How answers are made one.
    pub reduce: Option<String>,
    /// JSON Schema of the last reduce step's answer.
    pub schema: Option<Value>,
    /// Parameters of every request.
    pub params: Map<String, Value>,
    /// The context window of the models, in tokens.
    pub window_tokens: usize,
    /// The output cap of every call.
    pub max_output_tokens: Option<u64>,
    /// Texts that a reduce step takes at most.
    pub fan_in: Option<usize>,
    /// What becomes of the whole when map calls fail.
    pub on_failure: OnFailure,
    /// Limits, provider and retries.
    pub session: SessionOptions,
    /// Time for the whole job.
    pub deadline: Option<Duration>,
}

/// A map-reduce that is ready: everything was checked, nothing was sent.
#[derive(Debug)]
pub struct PreparedMapReduce {
    pattern: MapReduce,
    documents: Vec<Document>,
    target: Target,
    deadline: Option<Duration>,
    watch: MapReduceWatch,
    /// What the user should be told before the first call.
    pub notes: Vec<String>,
    budget: BudgetFile,
    /// The folder of the memory, and its lock.
    _state: crate::run::plan::State,
}

/// A view of a map-reduce from outside.
#[derive(Clone, Debug)]
pub struct MapReduceWatch {
    session: Arc<Session>,
    calls: Arc<Calls>,
    /// Map calls of all documents; how many reduce calls follow is not known before.
    map_calls: u64,
    stop: Stop,
    started: Instant,
}

/// How a map-reduce ended.
#[derive(Debug)]
pub struct MapReduceEnd {
    /// The numbers; `total` and all that belongs to it counts calls.
    pub report: Report,
    /// Why it stopped early, where it did.
    pub stopped: Option<StopReason>,
    /// The text, or why there is none.
    pub result: Result<MapReduced, MapReduceError>,
    /// Why the text could not be written.
    pub unwritten: Option<RunError>,
    /// What the user should be told afterwards.
    pub notes: Vec<String>,
}

impl PreparedMapReduce {
    /// Checks everything that can be checked without sending: documents, windows, templates, models, keys, output, memory.
    ///
    /// # Errors
    /// [`RunError`]; nothing was sent and nothing of the user's was changed.
    pub fn new(
        options: MapReduceOptions,
        config: Config,
        env: Lookup<'_>,
    ) -> Result<Self, RunError> {
        plan::prepare(options, config, env)
    }

    /// A view of it.
    pub fn watch(&self) -> MapReduceWatch {
        self.watch.clone()
    }

    /// Runs to the end, or until it is drained. Every call that was sent has been waited for, and its answer is kept.
    pub async fn run(self) -> MapReduceEnd {
        let watch = MapReduceWatch {
            started: Instant::now(),
            ..self.watch
        };
        let stop = watch.stop.clone();
        let deadline = self
            .deadline
            .map(|deadline| tokio::spawn(drain_at_deadline(stop, deadline)));
        let recorder = Recorder::new(watch.session.clock().clone());
        let counted = || Counted::of(&watch.calls.told().finished, watch.metrics());
        let recording = recorder.record(counted);
        let running = async {
            let result = self.pattern.run(&self.documents).await;
            watch.calls.settle().await;
            result
        };
        let result = tokio::select! {
            result = running => result,
            never = recording => match never {},
        };
        let unwritten_budget = budget::end(&watch.session, &self.budget).await;
        if let Some(deadline) = deadline {
            deadline.abort();
        }
        let mut end = MapReduceEnd {
            report: watch.report(),
            stopped: watch.stop.reason(),
            result,
            unwritten: None,
            notes: unwritten_budget.into_iter().collect(),
        };
        if let Some(reduced) = end.reduced() {
            let unwritten = self.target.write(&reduced.text).err();
            end.report = watch.report_of(true);
            end.unwritten = unwritten;
        }
        // calls have no place in an input, so none is told as a row
        let rows = Notable::default();
        end.report.course = Some(Course::new(&recorder, counted(), watch.metrics(), &rows));
        end
    }
}

impl MapReduceEnd {
    /// The result, where there is one. What was made while pieces were stopped is none: the next run does better.
    pub fn reduced(&self) -> Option<&MapReduced> {
        self.result.as_ref().ok().filter(|reduced| {
            let pieces = reduced
                .documents
                .iter()
                .flat_map(|document| &document.pieces);
            let mut errors = pieces.filter_map(|piece| piece.as_ref().err());
            errors.all(|error| !matches!(error.kind(), ErrorKind::Stopped | ErrorKind::Budget))
        })
    }
}

impl MapReduceWatch {
    /// The report as it stands. `total` is what is known of the calls: before the end, reduce steps to come are not in it.
    pub fn report(&self) -> Report {
        self.report_of(false)
    }

    fn report_of(&self, is_done: bool) -> Report {
        let told = self.calls.told();
        let known = match is_done {
            true => told.finished.total(),
            false => told.asked.max(self.map_calls),
        };
        let progress = ProgressSnapshot {
            planned: known,
            expected: Some(known),
            is_exact: is_done,
            finished: told.finished,
            ..ProgressSnapshot::default()
        };
        let metrics = self.session.metrics().snapshot();
        Report::new(
            &progress,
            &metrics,
            told.earlier_runs,
            self.session.budget().map(Budget::snapshot),
            self.started.elapsed(),
        )
    }

    /// What the calls have measured.
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.session.metrics()
    }

    /// The switch that drains it.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }
}
