//! `run_file`: a file of rows in, one line for each out, as `antiphon run` does it.

use std::{
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use antiphon_core::{Error, ErrorKind, SharedModel, job::StopReason};
use antiphon_mcp::{Call, Progress};
use antiphon_store::{Standing, StateDir};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::task::JoinHandle;

use super::{
    Folder, Models,
    choice::{clients_name, given, in_session},
    facts, folder,
    jobs::{Place, Running, is_running},
    lent::Lent,
    spending::{JobSpending, RowFailure},
    typed::TypedTool,
    watched, wording,
};
use crate::{
    Config, env,
    run::{self, About, PreparedRun, RunEnd, RunError, RunOptions, RunWatch},
};

/// Failed rows that are told.
pub(super) const MOST_FAILURES: usize = 5;
/// How often the client is told how far it is.
const TICK: Duration = Duration::from_millis(250);
/// Rows that wait for a client's model at least: as many as a queue that learns what the client bears may want to try.
const LEAST_WAITING: u32 = 32;

/// The tool.
pub(super) struct RunFile;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// File of rows, in the server's folder: JSON Lines or another format by its extension.
    input: String,
    /// File of answers, in the server's folder, ending in .jsonl; one line a row. The same name again goes on with the job.
    output: String,
    /// Template of what is asked about each row, with its fields: "Translate: {{ text }}". Without it rows are whole requests.
    prompt: Option<String>,
    /// Instructions for the model, a template as well.
    system: Option<String>,
    /// Model of every row: one of the configuration, provider/model, or `client` for the client's own. Without it rows may
    /// name theirs, and the usual one answers the others.
    model: Option<String>,
    /// JSON Schema that every answer must fit, of `"type": "object"`.
    schema: Option<Map<String, Value>>,
    /// The same as a file in the server's folder.
    schema_file: Option<String>,
    /// Format of the input, where its name does not tell.
    input_format: Option<String>,
    /// The most calls in flight at once.
    concurrency: Option<NonZeroU32>,
    /// Only so many rows of the input, from the first on.
    limit: Option<NonZeroU64>,
    /// Ask rows again that failed for good.
    retry_failed: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The file of answers.
    output: String,
    /// Rows of the input, or as many as the limit allows.
    total: u64,
    /// Rows with an answer.
    succeeded: u64,
    /// Rows with an error in place of an answer.
    failed: u64,
    /// Rows that were not finished: the next call asks them.
    pending: u64,
    /// Of the finished rows: by earlier calls, and not asked again.
    resumed: u64,
    /// Why it ended before its last row, where it did.
    stopped: Option<String>,
    #[serde(flatten)]
    spending: JobSpending,
    /// The first rows that failed.
    failures: Vec<RowFailure>,
    /// What is worth knowing beside the numbers.
    notes: Vec<String>,
    /// What to do next.
    next: String,
}

/// A run that was asked for.
struct Wanted {
    options: RunOptions,
    config: Config,
    /// Why the client's model cannot be asked, where that is so.
    unlent: Option<Error>,
}

/// A run that came to its end.
struct Ended {
    end: RunEnd,
    watch: RunWatch,
    notes: Vec<String>,
    failures: Vec<RowFailure>,
}

/// Gives a job up when nobody waits for it any more.
struct Attended(Arc<Running>);

impl Drop for Attended {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

impl TypedTool for RunFile {
    type Arguments = Arguments;
    type Output = Output;

    const NAME: &'static str = "run_file";
    const TITLE: &'static str = "Ask a model about every row of a file";
    const DESCRIPTION: &'static str = "\
        Puts every row of a file to a language model and writes one line of JSON for each, in order. One call of \
        a model for each row. Use it for more rows than fit into one answer. Every answer is kept on disk as soon \
        as it is there: called again with the same output it goes on where it ended, and asks no answered row \
        again. job_status tells how far it is. Gives the numbers of rows, what was used, and the first failures; \
        the answers are in the output file.";
    const IS_READ_ONLY: bool = false;

    async fn run(models: &Models, arguments: Arguments, call: &Call) -> Result<Output, Error> {
        let folder = &models.folder;
        let output = folder.output(&arguments.output)?;
        let options = options(arguments, output.clone(), folder).await?;
        let place = tokio::select! {
            biased;
            () = call.cancelled().cancelled() => return Err(Error::stopped("the call was given up")),
            place = models.jobs.place(&output) => place?,
        };
        let wanted = wanted(options, models, call, &place);
        let attended = Attended(Arc::clone(&place.running));
        // on its own: this future may be dropped at any time
        let job = tokio::spawn(performed(wanted, place, output.clone()));
        let ended = attend(job, &attended.0, models, call).await?;
        Ok(told(output, ended))
    }
}

async fn options(
    arguments: Arguments,
    output: PathBuf,
    folder: &Folder,
) -> Result<RunOptions, Error> {
    let input = folder.input(&arguments.input)?;
    let schema = match (arguments.schema, arguments.schema_file) {
        (None, None) => None,
        (Some(fields), None) => Some(Value::Object(fields)),
        (None, Some(named)) => {
            let path = folder.input(&named)?;
            Some(blocking(move || read_schema(&path, &named)).await??)
        }
        (Some(_), Some(_)) => {
            let why = "there are a schema and a schema_file: give one of them";
            return Err(facts::refused(why));
        }
    };
    let mut options = RunOptions::new(run::Input::File(input), run::Output::File(output));
    options.session.concurrency = arguments.concurrency;
    Ok(RunOptions {
        input_format: arguments.input_format,
        model: arguments.model,
        prompt: arguments.prompt,
        system: arguments.system,
        schema,
        limit: arguments.limit.map(NonZeroU64::get),
        retry_failed: arguments.retry_failed.unwrap_or(false),
        ..options
    })
}

/// Adds the models: the one that the call names is that of every row, and the usual one is that of rows that name none.
fn wanted(mut options: RunOptions, models: &Models, call: &Call, place: &Place) -> Wanted {
    let clients = clients_name();
    let mut config = models.config.clone();
    let usual = models.usual.clone();
    options.model = options.model.map(in_session);
    let lent = call.client_model();
    if options.model.is_none() {
        // a run that names its model is known by the configuration as the command line reads it
        let usual = usual.map(in_session);
        config.settings.default_model = usual.or_else(|| lent.is_ok().then(|| clients.clone()));
    }
    let mut unlent = None;
    match lent {
        Err(error) => unlent = Some(error),
        Ok(model) => {
            let answers = options.model.as_ref();
            if answers.or(config.settings.default_model.as_ref()) == Some(&clients) {
                options.most_rows_at_once = waiting(&model, options.session.concurrency);
                // a person may have to agree to each: asked as seldom as for a single question
                options.session.usual_max_retries = None;
            }
            let taken_back = place.running.given_up().clone();
            let lent: SharedModel = Arc::new(Lent { model, taken_back });
            options.session.given = given(lent);
        }
    }
    options.failures_stand_since = place.failures_stand_since(options.retry_failed);
    Wanted {
        options,
        config,
        unlent,
    }
}

/// Waits for the end and tells how far it is. A client that gives the call up, or a server that ends, gives the job up.
async fn attend(
    mut job: JoinHandle<Result<Ended, Error>>,
    running: &Running,
    models: &Models,
    call: &Call,
) -> Result<Ended, Error> {
    let mut tick = tokio::time::interval(TICK);
    let given_up = running.given_up();
    loop {
        tokio::select! {
            biased;
            () = call.cancelled().cancelled(), if !given_up.is_cancelled() => running.give_up(),
            () = models.drain.cancelled(), if !given_up.is_cancelled() => running.give_up(),
            ended = &mut job => {
                let broke = |error| Error::stopped(format!("the job broke down: {error}"));
                let ended = ended.map_err(broke)??;
                tell(&ended.watch, call.progress());
                return Ok(ended);
            }
            _ = tick.tick() => {
                if let Some(watch) = running.watch() {
                    tell(watch, call.progress());
                }
            }
        }
    }
}

/// Rows that are at work for a client's model: more would only wait.
fn waiting(model: &SharedModel, concurrency: Option<NonZeroU32>) -> Option<NonZeroU32> {
    let limit = model.limits().concurrency?;
    let most = concurrency.map_or(limit, |asked| asked.min(limit));
    NonZeroU32::new(most.get().saturating_mul(2).max(LEAST_WAITING))
}

fn read_schema(path: &Path, named: &str) -> Result<Value, Error> {
    let wrong =
        |error: String| Error::new(ErrorKind::BadRequest, format!("schema {named}: {error}"));
    let text = folder::text(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(format!("it is not JSON: {error}")))
}

/// The job, from its checks to its end.
async fn performed(wanted: Wanted, place: Place, output: PathBuf) -> Result<Ended, Error> {
    let Wanted {
        options,
        config,
        unlent,
    } = wanted;
    let series = (options.failures_stand_since, options.retry_failed);
    let state = options.output.state_folder();
    let prepared = blocking(move || PreparedRun::new(options, config, &env::process)).await?;
    let prepared = prepared.map_err(|error| refused(error, &output, unlent))?;
    let watch = prepared.watch();
    let notes = prepared.notes.clone();
    place.begins(watch.clone());
    let end = prepared.run().await;
    let first = series.0.unwrap_or(watch.run());
    place.ends(first, series.1, end.report.pending);
    let standing = blocking(move || {
        let state = state?;
        let in_use = StateDir::is_in_use(&state).unwrap_or(false);
        let read = Standing::read(&state, in_use, MOST_FAILURES, About::NOTE);
        read.ok()
    });
    let failures = match end.report.failed {
        0 => Vec::new(),
        _ => standing.await?.map_or_else(Vec::new, |standing| {
            standing.failures.iter().map(RowFailure::from).collect()
        }),
    };
    Ok(Ended {
        end,
        watch,
        notes,
        failures,
    })
}

/// Does what waits for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::stopped(format!("the job broke down: {error}")))
}

fn refused(error: RunError, output: &Path, unlent: Option<Error>) -> Error {
    if error.is_busy {
        return is_running(output);
    }
    let mut message = wording::of_tool(&error.message);
    if let Some(hint) = &error.hint {
        message.push_str(&format!("; {}", wording::of_tool(hint)));
    }
    if let Some(unlent) = unlent.filter(|_| error.message.contains("model")) {
        message.push_str(&format!("; {}", unlent.message()));
    }
    Error::new(ErrorKind::BadRequest, message)
}

fn tell(watch: &RunWatch, progress: &Progress) {
    let snapshot = watch.progress();
    let done = snapshot.finished.total();
    let total = snapshot.expected.map(|total| total.max(done));
    watched::tell(progress, done, total, snapshot.finished.failed, "rows");
}

fn told(output: PathBuf, ended: Ended) -> Output {
    let report = &ended.end.report;
    let notes = ended.notes.iter().chain(&ended.end.notes);
    let stopped = ended.end.stopped.as_ref();
    Output {
        total: report.total,
        succeeded: report.succeeded,
        failed: report.failed,
        pending: report.pending,
        resumed: report.resumed,
        stopped: stopped.map(why_stopped),
        spending: ended.watch.job_spent().into(),
        failures: ended.failures,
        notes: notes.map(|note| wording::of_tool(note)).collect(),
        next: wording::next(&output, report.pending, &report.errors_by_code),
        output: output.display().to_string(),
    }
}

fn why_stopped(reason: &StopReason) -> String {
    match reason {
        StopReason::Interrupted => "the call was given up".to_owned(),
        StopReason::Unreachable(error) => format!("the model cannot be reached: {error}"),
        StopReason::Account(error)
        | StopReason::Budget(error)
        | StopReason::WaitTooLong(error)
        | StopReason::Disk(error) => error.to_string(),
        StopReason::ErrorRate { rate } => format!("{:.1} % of the rows failed", rate * 100.0),
        StopReason::Deadline => "its time was up".to_owned(),
        StopReason::OutputClosed => "nobody reads the output any more".to_owned(),
        StopReason::Input(error) => error.clone(),
    }
}
