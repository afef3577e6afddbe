//! From what was checked to a job that is ready.

use std::{path::Path, sync::Arc, time::Instant};

use antiphon_core::{
    Error,
    job::{Comparison, Job, JobConfig, Progress, Settled, Sink},
};
use antiphon_store::{DiskSeen, SqliteLedger, StateDir, StateDirError, open_or_salvage};

use super::{
    About, PreparedRun, RunError, RunOptions, RunWatch, budget,
    check::{Checked, check, state_folder},
    feed::Feed,
    resume::{self, Plan},
};
use crate::{Config, env::Lookup, lines::row_word, session::Session};

/// The state folder, locked; a temporary one goes with the run.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) dir: StateDir,
    _temporary: Option<tempfile::TempDir>,
}

pub(super) fn prepare(
    options: RunOptions,
    config: Config,
    env: Lookup<'_>,
) -> Result<PreparedRun, RunError> {
    let Checked {
        options,
        mut state,
        session,
        lines,
        feed,
        config,
        source,
        stop,
        spool,
    } = check(options, config, env)?;
    let state_folder = state_folder(&options);
    let state_folder = state_folder.as_deref();
    let mut notes = session.cache_notes();
    notes.extend(session.retirement_notes());
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
    About::of(&options, &feed).keep(&standing.ledger)?;
    let run = standing.ledger.run();
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
            run,
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
        StateDirError::Busy(_) => RunError {
            is_busy: true,
            ..RunError::usage(error.to_string())
        },
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
