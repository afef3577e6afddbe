//! What a run would do, checked before anything is sent or written.

use std::{path::PathBuf, sync::Arc};

use antiphon_core::{
    Schema,
    job::{JobConfig, Source, Stop},
};
use antiphon_store::sources::Rows;
use serde_json::{Map, Value};

use super::{
    Input, RunError, RunOptions,
    feed::Feed,
    input::{Peeked, Spool},
    output::holds_ledger,
    plan::{State, open_state},
    strict,
};
use crate::{
    Config, Template,
    env::Lookup,
    lines::{Lines, LinesConfig, Way, Ways},
    session::Session,
};

/// Upper bound of calls in flight where none is given.
pub(super) const ADAPTIVE_CONCURRENCY: u32 = 256;
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

/// What a run would do, checked: nothing was sent and nothing written.
pub(super) struct Checked {
    pub(super) options: RunOptions,
    /// The state of an earlier run.
    pub(super) state: Option<State>,
    pub(super) session: Arc<Session>,
    pub(super) lines: Arc<Lines>,
    pub(super) feed: Feed,
    pub(super) config: JobConfig,
    /// The rows of an input that can be read only once.
    pub(super) source: Option<Box<dyn Source>>,
    pub(super) stop: Stop,
    pub(super) spool: Option<Spool>,
}

/// Checks everything that can be checked without sending.
pub(super) fn check(
    mut options: RunOptions,
    config: Config,
    env: Lookup<'_>,
) -> Result<Checked, RunError> {
    let is_dry = options.session.is_dry;
    let format = options.input.format(options.input_format.as_deref())?;
    let has_schema = options.schema.is_some() || options.analysis.is_some();
    refuse_reserved(&options.params, has_schema)?;
    let state_folder = state_folder(&options);
    let state_folder = state_folder.as_deref();
    options.output.check(&options.input)?;
    if !options.fresh {
        options.output.check_is_ours(state_folder)?;
    }
    options.output.try_writing()?;
    // the folder of an earlier run is locked first: a second run on it must not even read its input
    let state = match state_folder.filter(|folder| holds_ledger(folder)) {
        Some(folder) => Some(open_state(Some(folder))?),
        None => None,
    };
    let stop = Stop::new();
    let drain = stop.draining().clone();
    let mut session = Session::new(config, options.session.clone(), env, drain);
    if let Some(folder) = options.cache_dir.as_ref().filter(|_| !is_dry) {
        session = session.cache_dir(folder);
    }
    let session = Arc::new(session);
    let lines = Arc::new(Lines::new(
        lines_config(&options, format.rows)?,
        session.clone(),
    ));
    let spool = spool_twice_read(&mut options, state.as_ref())?;
    let mut feed = Feed {
        input: options.input.clone(),
        times: u32::try_from(options.variants.len().max(1)).unwrap_or(u32::MAX),
        drawn: None,
    };
    if let Some(sample) = options.sample {
        feed.draw(sample.get(), options.limit)?;
    }
    let config = job_config(&options, &feed, format.rows);
    let source = peek_and_check(&feed, &lines, config.limit)?;
    if options.strict {
        strict::refuse_bad_lines(&feed, &lines, &config)?;
    }
    Ok(Checked {
        options,
        state,
        session,
        lines,
        feed,
        config,
        source,
        stop,
        spool,
    })
}

/// The folder that `--state` names, else that of the output.
pub(super) fn state_folder(options: &RunOptions) -> Option<PathBuf> {
    let named = options.state.clone();
    named.or_else(|| options.output.state_folder())
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

/// Copies an input that can be read only once where it will be read twice: to be checked or counted first, or to be
/// compared with an earlier run's.
fn spool_twice_read(
    options: &mut RunOptions,
    earlier: Option<&State>,
) -> Result<Option<Spool>, RunError> {
    let is_dry = options.session.is_dry;
    let is_compared = earlier.is_some() && !options.fresh && !is_dry;
    if !options.input.reads_once() || !(options.strict || is_compared || options.sample.is_some()) {
        return Ok(None);
    }
    let folder = earlier.filter(|_| !is_dry).map(|state| state.dir.path());
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
        limit: feed.most_rows(options.limit),
        retry_failed: options.retry_failed,
        failures_stand_since: options.failures_stand_since,
        max_error_rate: options.max_error_rate,
        share_equal_rows: options.session.coalesce,
        include_input: options.include_input || options.analysis.is_some(),
        input_is_json: rows == Rows::Json,
        window_rows: match options.most_rows_at_once {
            Some(most) => most.get(),
            None => concurrency.saturating_mul(2).max(LEAST_WINDOW),
        },
    }
}
