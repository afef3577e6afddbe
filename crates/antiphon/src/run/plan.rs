//! From options to a job: everything is checked before anything is sent.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use antiphon_core::{
    Error,
    job::{Comparison, Job, JobConfig, Prepare, Progress, Seen, Source, Stop, survey},
};
use antiphon_store::{DiskSeen, SqliteLedger, StateDir, open_or_salvage, sources::Rows};

use serde_json::Value;

use super::{Input, PreparedRun, RunError, RunOptions, RunWatch, input::Peeked};
use crate::{
    Config, Template,
    env::Lookup,
    lines::{Lines, LinesConfig},
    schema,
    session::Session,
};

/// Upper bound of calls in flight where none is given.
const ADAPTIVE_CONCURRENCY: u32 = 256;
/// Rows in the window at least.
const LEAST_WINDOW: u32 = 512;
/// Bad lines that `--strict` names.
const MOST_BAD_LINES: usize = 10;
/// Key of the ledger's note of what the last run's plan was.
const PLAN_NOTE: &str = "plan";

/// The state folder, locked; a temporary one goes with the run.
#[derive(Debug)]
pub(super) struct State {
    dir: StateDir,
    _temporary: Option<tempfile::TempDir>,
}

pub(super) fn prepare(
    mut options: RunOptions,
    config: Config,
    env: Lookup<'_>,
) -> Result<PreparedRun, RunError> {
    let format = options.input.format(options.input_format.as_deref())?;
    let mut notes = Vec::new();
    let stop = Stop::new();
    let session = Arc::new(Session::new(
        config,
        options.session.clone(),
        env,
        stop.draining().clone(),
    ));
    let lines = Arc::new(Lines::new(
        lines_config(&options, format.rows)?,
        session.clone(),
    ));
    let state_folder = options
        .state
        .clone()
        .or_else(|| options.output.state_folder());
    // before anything is made: is there an input, and does the plan fit its first row?
    let mut source = None;
    if options.input.reads_once() {
        let peeked = peek(options.input.open()?)?;
        check_first(&lines, peeked.first())?;
        source = Some(Box::new(peeked) as Box<dyn Source>);
    } else {
        check_first(&lines, peek(options.input.open()?)?.first())?;
    }
    if options.fresh {
        notes.extend(options.output.move_aside(state_folder.as_deref())?);
    }
    options
        .output
        .check(&options.input, state_folder.as_deref())?;
    options.output.try_writing()?;
    let state = open_state(state_folder.as_deref())?;
    let mut ledger = open_ledger(&state, &mut notes)?;

    let config = job_config(&options, format.rows);
    let plan = plan_parts(&options, &session);
    let old_plan = ledger.note(PLAN_NOTE).map_err(ledger_error)?;
    // what can be read only once is copied where it must be read twice
    if source.is_some() && (options.strict || !ledger.is_new()) {
        spool_rest(&mut options.input, source.take(), state.dir.path())?;
    }
    if options.strict {
        refuse_bad_lines(&options.input, &lines, state.dir.path(), &config)?;
    }
    let mut compared = compare(&options, &ledger, &config, old_plan.as_deref(), &plan);
    if compared.is_err() && ledger.is_broken() {
        // the survey is the first to read it all
        drop(ledger);
        ledger = open_ledger(&state, &mut notes)?;
        compared = compare(&options, &ledger, &config, old_plan.as_deref(), &plan);
    }
    let resumed = compared?;
    notes.extend(resumed.told);
    ledger
        .write_note(PLAN_NOTE, plan_text(&plan))
        .map_err(ledger_error)?;
    if let Comparison::Changed { .. } = resumed.comparison {
        ledger.begin_changed_input().map_err(ledger_error)?;
    }
    let sink = options
        .output
        .sink(&ledger, options.order, resumed.rebuild)?;
    let source = match source {
        Some(source) => source,
        None => options.input.open()?,
    };
    let progress = Arc::new(Progress::default());
    let job = Job {
        source,
        prepare: lines.clone(),
        ledger: Arc::new(ledger),
        sink,
        seen: Box::new(DiskSeen::new(state.dir.path())),
        comparison: resumed.comparison,
        config,
        progress: progress.clone(),
        stop: stop.clone(),
    };
    Ok(PreparedRun {
        job,
        deadline: options.deadline,
        watch: RunWatch {
            progress,
            session,
            stop,
            started: Instant::now(),
        },
        notes,
        _state: state,
        lines,
    })
}

fn lines_config(options: &RunOptions, rows: Rows) -> Result<LinesConfig, RunError> {
    let template = |what, source: &Option<String>| match source {
        None => Ok(None),
        Some(source) => Template::new(what, source.clone())
            .map(Some)
            .map_err(RunError::usage),
    };
    let schema =
        match &options.schema {
            None => None,
            Some(json) => Some(schema::compile(json.clone()).map_err(|error| {
                RunError::usage(format!("--schema is not a JSON Schema: {error}"))
            })?),
        };
    Ok(LinesConfig {
        rows,
        model: options.model.clone(),
        prompt: template("--prompt", &options.prompt)?,
        system: template("--system", &options.system)?,
        params: options.params.clone(),
        schema,
        strict: options.strict,
    })
}

fn job_config(options: &RunOptions, rows: Rows) -> JobConfig {
    let concurrency = options
        .session
        .concurrency
        .map_or(ADAPTIVE_CONCURRENCY, u32::from);
    JobConfig {
        order: options.order,
        limit: options.limit,
        retry_failed: options.retry_failed,
        max_error_rate: options.max_error_rate,
        include_input: options.include_input,
        input_is_json: rows == Rows::Json,
        window_rows: concurrency.saturating_mul(2).max(LEAST_WINDOW),
    }
}

fn peek(source: Box<dyn Source>) -> Result<Peeked, RunError> {
    Peeked::new(source).map_err(|error| RunError::usage(format!("cannot read the input: {error}")))
}

fn check_first(lines: &Lines, first: Option<&antiphon_core::job::RawRow>) -> Result<(), RunError> {
    let Some(row) = first else { return Ok(()) };
    lines
        .check_first(row)
        .map_err(|error| RunError::usage(format!("line {}: {error}", row.line)))
}

fn open_state(folder: Option<&Path>) -> Result<State, RunError> {
    let (folder, temporary) = match folder {
        Some(folder) => (folder.to_owned(), None),
        None => {
            let made = tempfile::Builder::new()
                .prefix("antiphon-")
                .tempdir()
                .map_err(|error| {
                    RunError::usage(format!("cannot make a temporary folder: {error}"))
                })?;
            (made.path().to_owned(), Some(made))
        }
    };
    let dir = StateDir::open(&folder).map_err(|error| RunError::usage(error.to_string()))?;
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

fn ledger_error(error: Error) -> RunError {
    RunError::usage(error.to_string())
}

/// Copies a pipe, of which the first row was read, into the state folder.
fn spool_rest(
    input: &mut Input,
    source: Option<Box<dyn Source>>,
    folder: &Path,
) -> Result<(), RunError> {
    let path: PathBuf = folder.join("input.spool");
    let copy = |mut source: Box<dyn Source>| -> std::io::Result<()> {
        use std::io::Write;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let mut out = std::io::BufWriter::new(&mut file);
        while let Some(row) = source.next_row()? {
            match &row.text {
                Ok(text) => out.write_all(text)?,
                // it stays a bad line in its place
                Err(_) => out.write_all(b"\xff")?,
            }
            out.write_all(b"\n")?;
        }
        out.flush()?;
        drop(out);
        file.persist(&path)?;
        Ok(())
    };
    if let Some(source) = source {
        copy(source).map_err(|error| RunError::usage(format!("cannot keep the input: {error}")))?;
        *input = Input::File(path);
    }
    Ok(())
}

/// Reads all of the input and refuses it when any line is bad.
fn refuse_bad_lines(
    input: &Input,
    lines: &Lines,
    folder: &Path,
    config: &JobConfig,
) -> Result<(), RunError> {
    let mut source = input.open()?;
    let mut seen = DiskSeen::new(folder);
    let mut bad = Vec::new();
    let mut count = 0u64;
    let mut read = 0;
    while let Some(row) = source
        .next_row()
        .map_err(|error| RunError::usage(format!("cannot read the input: {error}")))?
    {
        if config.limit.is_some_and(|limit| read >= limit) {
            break;
        }
        read += 1;
        let prepared = lines.prepare(&row);
        let mut fault = prepared.call.err().map(|error| error.to_string());
        if fault.is_none() && prepared.owns_custom_id {
            let key =
                antiphon_core::Fingerprint::of_bytes("custom_id", prepared.custom_id.as_bytes());
            if seen.note(*key.as_bytes()).map_err(ledger_error)? > 0 {
                fault = Some(format!(
                    "custom_id {:?} stands on an earlier line",
                    prepared.custom_id
                ));
            }
        }
        if let Some(fault) = fault {
            count += 1;
            if bad.len() < MOST_BAD_LINES {
                bad.push(format!("line {}: {fault}", row.line));
            }
        }
    }
    if count == 0 {
        return Ok(());
    }
    let more = count as usize - bad.len();
    if more > 0 {
        bad.push(format!("and {more} more"));
    }
    Err(
        RunError::usage(format!("{count} bad lines:\n  {}", bad.join("\n  "))).with_hint(
            "without --strict each becomes an error line in its place, and the run goes on",
        ),
    )
}

/// What decides about answers, part by part, so that a change can be named.
fn plan_parts(options: &RunOptions, session: &Session) -> BTreeMap<&'static str, String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let schema = options.schema.as_ref().map(Value::to_string);
    let params = Value::Object(options.params.clone()).to_string();
    let parts = [
        ("the input format", text(&options.input_format)),
        ("--model", text(&options.model)),
        ("--prompt", text(&options.prompt)),
        ("--system", text(&options.system)),
        ("--schema", text(&schema)),
        ("--param", params),
        ("--provider", text(&options.session.provider)),
        ("--base-url", text(&options.session.base_url)),
        (
            "the configuration of models and providers",
            session.meaning_of_names(),
        ),
        ("--include-input", options.include_input.to_string()),
        ("--order", format!("{:?}", options.order)),
    ];
    parts
        .into_iter()
        .map(|(name, value)| (name, short_hash(&value)))
        .collect()
}

fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

fn plan_text(plan: &BTreeMap<&'static str, String>) -> String {
    serde_json::to_string(plan).unwrap_or_default()
}

struct Resumed {
    comparison: Comparison,
    rebuild: bool,
    told: Option<String>,
}

impl Resumed {
    /// Every row is looked up by its content, and the output is written anew.
    fn by_content(told: String) -> Self {
        Self {
            comparison: Comparison::Changed { first: 0 },
            rebuild: true,
            told: Some(told),
        }
    }
}

/// Compares input and plan with the last run's, and says what changed before the first call.
fn compare(
    options: &RunOptions,
    ledger: &SqliteLedger,
    config: &JobConfig,
    old_plan: Option<&str>,
    plan: &BTreeMap<&'static str, String>,
) -> Result<Resumed, RunError> {
    if ledger.is_new() {
        return Ok(Resumed {
            comparison: Comparison::Fresh,
            rebuild: false,
            told: None,
        });
    }
    let old: BTreeMap<String, String> = old_plan
        .and_then(|plan| serde_json::from_str(plan).ok())
        .unwrap_or_default();
    let changed: Vec<&str> = plan
        .iter()
        .filter(|(name, hash)| old.get(**name) != Some(*hash))
        .map(|(name, _)| *name)
        .collect();
    if !changed.is_empty() {
        return Ok(Resumed::by_content(format!(
            "since the last run {} changed; rows with the same request keep their answers",
            changed.join(" and ")
        )));
    }
    if !ledger.layout_is_whole().map_err(ledger_error)? {
        return Ok(Resumed::by_content(
            "the last run did not map its input to the end; rows are found by their content"
                .to_owned(),
        ));
    }
    let mut source = options.input.open()?;
    let survey = survey(&mut *source, ledger, config).map_err(ledger_error)?;
    if let Comparison::Changed { first } = survey.comparison {
        return Ok(Resumed {
            comparison: survey.comparison,
            rebuild: true,
            told: Some(format!(
                "the input changed from row {first} on; only new or changed rows are sent, and the output is rebuilt"
            )),
        });
    }
    let checkpoint = ledger.last_checkpoint().map_err(ledger_error)?;
    Ok(Resumed {
        comparison: survey.comparison,
        // a row whose line stands in the output already will get another one
        rebuild: survey
            .first_to_do
            .is_some_and(|first| first < checkpoint.rows),
        told: None,
    })
}
