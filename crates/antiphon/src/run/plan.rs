//! From options to a job: everything is checked before anything is sent.

use std::{path::Path, sync::Arc, time::Instant};

use antiphon_core::{
    Error, Schema,
    job::{Comparison, Job, JobConfig, Progress, Settled, Sink, Source, Stop},
};
use antiphon_store::{
    DiskSeen, SqliteLedger, StateDir, StateDirError, open_or_salvage, sources::Rows,
};
use serde_json::{Map, Value};

use super::{
    Input, PreparedRun, RunError, RunOptions, RunWatch, budget,
    feed::Feed,
    input::{Peeked, Spool},
    output::holds_ledger,
    resume::{self, Plan},
    strict,
};
use crate::{
    Config, Template,
    env::Lookup,
    lines::{Lines, LinesConfig, Way, Ways, row_word},
    session::Session,
};

/// Upper bound of calls in flight where none is given.
const ADAPTIVE_CONCURRENCY: u32 = 256;
/// Rows in the window at least.
const LEAST_WINDOW: u32 = 512;
/// Bad lines, and bytes of them, that are passed over in search of a row that tells whether the plan can work: a source
/// that is read once keeps them in memory.
const MOST_PEEKED_ROWS: u64 = 64;
const MOST_PEEKED_BYTES: usize = 16 << 20;
/// Parameters that are not the user's to set, and what is.
const RESERVED_PARAMS: [(&str, &str); 3] = [
    ("model", "name the model with --model"),
    ("messages", "messages come from the input or --prompt"),
    ("stream", "answers are written whole, leave it out"),
];

/// The state folder, locked; a temporary one goes with the run.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) dir: StateDir,
    _temporary: Option<tempfile::TempDir>,
}

pub(super) fn prepare(
    mut options: RunOptions,
    config: Config,
    env: Lookup<'_>,
) -> Result<PreparedRun, RunError> {
    let format = options.input.format(options.input_format.as_deref())?;
    let has_schema = options.schema.is_some() || options.analysis.is_some();
    refuse_reserved(&options.params, has_schema)?;
    let state_folder = options
        .state
        .clone()
        .or_else(|| options.output.state_folder());
    let state_folder = state_folder.as_deref();
    options.output.check(&options.input)?;
    if !options.fresh {
        options.output.check_is_ours(state_folder)?;
    }
    options.output.try_writing()?;
    // the folder of an earlier run is locked first: a second run on it must not even read its input
    let mut state = match state_folder.filter(|folder| holds_ledger(folder)) {
        Some(folder) => Some(open_state(Some(folder))?),
        None => None,
    };
    let stop = Stop::new();
    let drain = stop.draining().clone();
    let mut session = Session::new(config, options.session.clone(), env, drain);
    if let Some(folder) = &options.cache_dir {
        session = session.cache_dir(folder);
    }
    let session = Arc::new(session);
    let lines = Arc::new(Lines::new(
        lines_config(&options, format.rows)?,
        session.clone(),
    ));
    let spool = spool_twice_read(&mut options, state.as_ref())?;
    let feed = Feed {
        input: options.input.clone(),
        times: u32::try_from(options.variants.len().max(1)).unwrap_or(u32::MAX),
    };
    let config = job_config(&options, &feed, format.rows);
    let source = peek_and_check(&feed, &lines, config.limit)?;
    if options.strict {
        strict::refuse_bad_lines(&feed, &lines, &config)?;
    }

    let mut notes = session.cache_notes();
    if options.fresh {
        notes.extend(options.output.move_aside(state_folder)?);
        // the lock went with the folder
        state = None;
    }
    let state = match state {
        Some(state) => state,
        None => open_state(state_folder)?,
    };
    let standing = find_standing(&options, &feed, &session, &config, &state, &mut notes)?;
    let source = match source {
        Some(source) => source,
        None => feed.open()?,
    };
    let metrics = session.metrics().clone();
    let earlier_runs = standing.ledger.count_spent(move || metrics.spent());
    let earlier_runs = earlier_runs.map_err(ledger_error)?;
    budget::begin(&session, &standing.ledger, earlier_runs, &mut notes)?;
    let limit = config.limit;
    let progress = Arc::new(Progress::default());
    let job = Job {
        source,
        prepare: lines.clone(),
        ledger: Arc::new(standing.ledger),
        sink: standing.sink,
        seen: Box::new(standing.seen),
        comparison: standing.comparison,
        settled: standing.settled,
        config,
        progress: progress.clone(),
        stop: stop.clone(),
    };
    Ok(PreparedRun {
        job,
        deadline: options.deadline,
        feed,
        limit,
        watch: RunWatch {
            progress,
            session,
            earlier_runs,
            stop,
            started: Instant::now(),
        },
        notes,
        _spool: spool,
        _state: state,
        lines,
    })
}

/// Where a job stands before its first row: what earlier runs left, and the output opened where it goes on.
struct Standing {
    ledger: SqliteLedger,
    sink: Box<dyn Sink>,
    seen: DiskSeen,
    comparison: Comparison,
    settled: Settled,
}

fn find_standing(
    options: &RunOptions,
    feed: &Feed,
    session: &Session,
    config: &JobConfig,
    state: &State,
    notes: &mut Vec<String>,
) -> Result<Standing, RunError> {
    let mut ledger = open_ledger(state, notes)?;
    let plan = Plan::new(options, session);
    let changed = plan.changed_since_last(&ledger)?;
    let word = row_word(options.analysis.as_ref());
    let compare = |ledger: &SqliteLedger, seen: &mut DiskSeen| {
        resume::compare(feed, word, ledger, config, &changed, seen)
    };
    let mut seen = DiskSeen::new(state.dir.path());
    let mut compared = compare(&ledger, &mut seen);
    if compared.is_err() && ledger.is_broken() {
        // the survey is the first to read it all
        drop(ledger);
        ledger = open_ledger(state, notes)?;
        seen = DiskSeen::new(state.dir.path());
        compared = compare(&ledger, &mut seen);
    }
    let mut resumed = compared?;
    notes.extend(resumed.told.take());
    if let Comparison::Changed { .. } = resumed.comparison {
        ledger.begin_changed_input().map_err(ledger_error)?;
    }
    // only now: a new plan beside the old layout would pass the old plan's answers off as its own
    plan.keep(&ledger)?;
    let sink = options
        .output
        .sink(&ledger, options.order, resumed.rebuild)?;
    if !sink.is_in_place() {
        // a run that ends before the new output stands must not leave the old one to be believed
        ledger.forget_checkpoint().map_err(ledger_error)?;
    }
    let settled = resumed.settled.beginning.rows;
    if settled == 0 || settled != sink.start().rows {
        // every row is planned, and its keys are noted anew
        resumed.settled = Settled::default();
        seen = DiskSeen::new(state.dir.path());
    }
    Ok(Standing {
        ledger,
        sink,
        seen,
        comparison: resumed.comparison,
        settled: resumed.settled,
    })
}

/// Refuses parameters that other flags decide.
pub(crate) fn refuse_reserved(
    params: &Map<String, Value>,
    has_schema: bool,
) -> Result<(), RunError> {
    for (name, instead) in RESERVED_PARAMS {
        if params.contains_key(name) {
            return Err(RunError::usage(format!(
                "--param {name} cannot be set: {instead}"
            )));
        }
    }
    if has_schema && params.contains_key("response_format") {
        return Err(RunError::usage(
            "--schema (or the analysis) and --param response_format both say which shape answers have",
        ));
    }
    Ok(())
}

/// Copies an input that can be read only once where it will be read twice: to be checked first, or to be compared with
/// an earlier run's.
fn spool_twice_read(
    options: &mut RunOptions,
    earlier: Option<&State>,
) -> Result<Option<Spool>, RunError> {
    let is_compared = earlier.is_some() && !options.fresh;
    if !options.input.reads_once() || !(options.strict || is_compared) {
        return Ok(None);
    }
    let folder = earlier.map(|state| state.dir.path());
    let spool = Spool::copy(&options.input, folder)?;
    options.input = Input::File(spool.path().to_owned());
    Ok(Some(spool))
}

/// Does the plan fit the first row that is a request? A source that can be read only once is handed back with the rows
/// that were looked at still in it.
fn peek_and_check(
    feed: &Feed,
    lines: &Lines,
    limit: Option<u64>,
) -> Result<Option<Box<dyn Source>>, RunError> {
    let mut peeked = Peeked::new(feed.open()?);
    let mut bytes = 0;
    let most = feed.rows(MOST_PEEKED_ROWS);
    for _ in 0..limit.unwrap_or(u64::MAX).min(most) {
        let row = peeked.look_on().map_err(|error| feed.unreadable(&error))?;
        let Some(row) = row else { break };
        let fits = lines.check_first(row);
        let fits = fits.map_err(|error| RunError::usage(error.to_string()))?;
        // a row tells about every way to ask it
        if fits && (row.index + 1).is_multiple_of(feed.times.into()) {
            break;
        }
        bytes += row.text.as_ref().map_or(0, |text| text.len());
        if bytes > MOST_PEEKED_BYTES {
            break;
        }
    }
    Ok(feed
        .input
        .reads_once()
        .then(|| Box::new(peeked) as Box<dyn Source>))
}

fn lines_config(options: &RunOptions, rows: Rows) -> Result<LinesConfig, RunError> {
    let template = |what, source: &Option<String>| match source {
        None => Ok(None),
        Some(source) => Template::new(what, source.clone())
            .map(Some)
            .map_err(RunError::usage),
    };
    let schema =
        match (&options.analysis, &options.schema) {
            (Some(analysis), _) => Some(analysis.schema()),
            (None, None) => None,
            (None, Some(json)) => Some(Schema::new(json.clone()).map_err(|error| {
                RunError::usage(format!("--schema is not a JSON Schema: {error}"))
            })?),
        };
    let variants = options.variants.iter().map(|variant| {
        Ok(Way {
            name: Some(variant.name.clone()),
            model: variant.model.clone(),
            prompt: template("--prompt", &variant.prompt)?,
        })
    });
    let variants: Vec<Way> = variants.collect::<Result<_, RunError>>()?;
    let ways = match variants.is_empty() {
        true => Ways::one(
            options.model.clone(),
            template("--prompt", &options.prompt)?,
        ),
        false => Ways::several(variants),
    };
    Ok(LinesConfig {
        rows,
        ways,
        analysis: options.analysis.clone(),
        system: template("--system", &options.system)?,
        params: options.params.clone(),
        schema,
        strict: options.strict,
    })
}

fn job_config(options: &RunOptions, feed: &Feed, rows: Rows) -> JobConfig {
    let concurrency = options
        .session
        .concurrency
        .map_or(ADAPTIVE_CONCURRENCY, u32::from);
    JobConfig {
        order: options.order,
        limit: options.limit.map(|limit| feed.rows(limit)),
        retry_failed: options.retry_failed,
        max_error_rate: options.max_error_rate,
        share_equal_rows: options.session.coalesce,
        include_input: options.include_input || options.analysis.is_some(),
        input_is_json: rows == Rows::Json,
        window_rows: concurrency.saturating_mul(2).max(LEAST_WINDOW),
    }
}

pub(crate) fn open_state(folder: Option<&Path>) -> Result<State, RunError> {
    let (folder, temporary) = match folder {
        Some(folder) => (folder.to_owned(), None),
        None => {
            let made = tempfile::Builder::new()
                .prefix("antiphon-")
                .tempdir()
                .map_err(|error| {
                    let message = format!("cannot make a temporary folder: {error}");
                    RunError::of_system(message, &error)
                })?;
            (made.path().to_owned(), Some(made))
        }
    };
    let dir = StateDir::open(&folder).map_err(|error| match &error {
        StateDirError::Busy(_) => RunError::usage(error.to_string()),
        StateDirError::Io(_, cause) => RunError::of_system(error.to_string(), cause),
    })?;
    Ok(State {
        dir,
        _temporary: temporary,
    })
}

fn open_ledger(state: &State, notes: &mut Vec<String>) -> Result<SqliteLedger, RunError> {
    let (ledger, told) = open_or_salvage(state.dir.path()).map_err(ledger_error)?;
    notes.extend(told);
    Ok(ledger)
}

pub(crate) fn ledger_error(error: Error) -> RunError {
    RunError {
        is_of_disk: antiphon_store::is_disk_failure(&error),
        ..RunError::usage(error.to_string())
    }
}
