//! `job_status`: how far the job is that writes an output.

use std::path::{Path, PathBuf};

use antiphon_core::{Error, ErrorKind};
use antiphon_mcp::{Call, Effects};
use antiphon_store::{SqliteLedger, Standing, StateDir};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Models,
    jobs::Running,
    run_file::{MOST_FAILURES, blocking},
    spending::{JobSpending, RowFailure},
    typed::TypedTool,
};
use crate::run::{self, About};

/// The tool.
pub(super) struct JobStatus;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The file that the job writes, in the server's folder.
    output: String,
}

/// How a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    /// No job is known that writes this file.
    Unknown,
    /// It is at work, here or in another process.
    Running,
    /// Nobody works on it, and rows are left, or may be.
    Stopped,
    /// Every row has an outcome.
    Finished,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The file of answers.
    output: String,
    /// unknown: no job is known that writes it; running; stopped: rows are left, or may be; finished: every row is done.
    state: State,
    /// Rows of the job; null where it is not known.
    total: Option<u64>,
    /// Rows with an answer.
    succeeded: Option<u64>,
    /// Rows with an error.
    failed: Option<u64>,
    /// Rows that are left.
    pending: Option<u64>,
    /// Rows a second of the run that is going on.
    rows_per_second: Option<f64>,
    /// How long it will take at that rate, seconds.
    seconds_left: Option<f64>,
    #[serde(flatten)]
    spending: JobSpending,
    /// The first rows that failed.
    failures: Vec<RowFailure>,
    /// A failed row of the newest run that has any.
    last_failure: Option<RowFailure>,
    /// The file that the last run read, where that is known.
    input: Option<String>,
    /// What to do next.
    next: String,
}

/// Rows of a job, as far as they are known.
struct Rows {
    total: Option<u64>,
    succeeded: u64,
    failed: u64,
    per_second: Option<f64>,
}

impl Rows {
    fn pending(&self) -> Option<u64> {
        let done = self.succeeded + self.failed;
        self.total.map(|total| total.saturating_sub(done))
    }
}

impl TypedTool for JobStatus {
    type Arguments = Arguments;
    type Output = Output;

    const NAME: &'static str = "job_status";
    const TITLE: &'static str = "How far a job is";
    const DESCRIPTION: &'static str = "\
        Tells how far the job is that writes an output file: rows done, failed and left, what was used, how long \
        it will take, and how to go on. It also knows jobs of other processes and such as were killed. It \
        makes no call of a model, disturbs nothing and changes nothing.";

    fn effects() -> Effects {
        Effects {
            is_open_world: false,
            ..Effects::default()
        }
    }

    async fn run(models: &Models, arguments: Arguments, _call: &Call) -> Result<Output, Error> {
        let output = models.folder.output(&arguments.output)?;
        let running = models.jobs.of(&output);
        blocking(move || status(output, running.as_deref())).await?
    }
}

fn status(output: PathBuf, running: Option<&Running>) -> Result<Output, Error> {
    let Some(folder) = run::Output::File(output.clone()).state_folder() else {
        let message = format!("{} is no file that a job writes", output.display());
        return Err(Error::new(ErrorKind::BadRequest, message));
    };
    let in_use = match running {
        Some(_) => true,
        None => StateDir::is_in_use(&folder).map_err(|error| {
            let message = format!("{} cannot be read: {error}", folder.display());
            Error::new(ErrorKind::Ledger, message)
        })?,
    };
    let standing = match SqliteLedger::is_in(&folder) {
        true => Some(Standing::read(&folder, in_use, MOST_FAILURES, About::NOTE)),
        false => None,
    };
    match standing {
        None if !in_use => Ok(unknown(&output, &folder)),
        // a job that begins has not made its ledger yet, or not all of it
        None | Some(Err(_)) if in_use => Ok(begun(&output)),
        None => Ok(unknown(&output, &folder)),
        Some(standing) => Ok(known(output, &standing?, in_use, running)),
    }
}

fn unknown(output: &Path, folder: &Path) -> Output {
    let next = format!(
        "no job is known that writes {}: there is no state of one in {}; run_file begins one",
        output.display(),
        folder.display()
    );
    empty(output, State::Unknown, next)
}

fn begun(output: &Path) -> Output {
    let next = "it has just begun: ask again in a moment".to_owned();
    empty(output, State::Running, next)
}

fn empty(output: &Path, state: State, next: String) -> Output {
    Output {
        output: output.display().to_string(),
        state,
        total: None,
        succeeded: None,
        failed: None,
        pending: None,
        rows_per_second: None,
        seconds_left: None,
        spending: JobSpending::default(),
        failures: Vec::new(),
        last_failure: None,
        input: None,
        next,
    }
}

fn known(output: PathBuf, standing: &Standing, in_use: bool, running: Option<&Running>) -> Output {
    let about = About::read(standing.note.as_deref());
    let watch = running.and_then(Running::watch);
    let rows = match watch {
        Some(watch) => {
            let report = watch.report();
            Rows {
                // the run itself knows it only once it has read them all
                total: about.count_rows().or(Some(report.total)),
                succeeded: report.succeeded,
                failed: report.failed,
                per_second: Some(report.requests_per_second),
            }
        }
        // ours, which is still being checked: the ledger tells of the run before it
        None => rows_of(standing, &about, in_use && running.is_none()),
    };
    let pending = rows.pending();
    let state = match (in_use, pending) {
        (true, _) => State::Running,
        (false, Some(0)) => State::Finished,
        (false, _) => State::Stopped,
    };
    let per_second = rows.per_second.filter(|rate| in_use && *rate > 0.0);
    let spent = watch.map_or(standing.spent, |watch| watch.job_spent());
    Output {
        state,
        total: rows.total,
        succeeded: Some(rows.succeeded),
        failed: Some(rows.failed),
        pending,
        rows_per_second: per_second,
        seconds_left: per_second
            .zip(pending)
            .map(|(rate, pending)| pending as f64 / rate),
        spending: spent.into(),
        failures: standing.failures.iter().map(RowFailure::from).collect(),
        last_failure: standing.last_failure.as_ref().map(RowFailure::from),
        input: about.input().map(|input| input.display().to_string()),
        next: next(state, &rows, running.is_some()),
        output: output.display().to_string(),
    }
}

/// Rows by the ledger alone: the job is over, or of another process.
fn rows_of(standing: &Standing, about: &About, runs: bool) -> Rows {
    let whole = (standing.is_whole && !runs).then_some(standing.planned);
    let total = about.count_rows().or(whole);
    let seconds = about.running_for().map(|time| time.as_secs_f64());
    let seconds = seconds.filter(|seconds| runs && *seconds > 0.0);
    Rows {
        total: total.map(|total| total.max(standing.succeeded + standing.failed)),
        succeeded: standing.succeeded,
        failed: standing.failed,
        per_second: seconds.map(|seconds| standing.of_last_run as f64 / seconds),
    }
}

fn next(state: State, rows: &Rows, is_ours: bool) -> String {
    let where_it_runs = match is_ours {
        true => "this server",
        false => "another process",
    };
    match state {
        State::Running => format!(
            "it is running in {where_it_runs}: ask again later; what is done stands in the output, in order"
        ),
        State::Finished if rows.failed > 0 => format!(
            "every row is done, {} of them with an error; run_file asks those again whose failure may pass, and with \
             `retry_failed` all of them",
            rows.failed
        ),
        State::Finished => "every row is done; read the output".to_owned(),
        State::Stopped | State::Unknown => {
            "nobody works on it: call run_file with the same input, output, prompt and model, and \
             it goes on without asking an answered row again"
                .to_owned()
        }
    }
}
