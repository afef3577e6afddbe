//! What commands have in common that run their calls as a job: limits, ledger, progress, signals, report, last words.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use antiphon::{
    Config,
    core::job::StopReason,
    env,
    run::{PreparedRun, RunEnd, RunError, RunOptions},
};
use anyhow::{Context, Result, anyhow};

use crate::{
    Exit,
    job_args::JobArgs,
    last_words,
    printer::Printer,
    progress::{self, Style},
    report_file, signals,
};

/// Files that are open beside the connections.
const OTHER_FILES: u64 = 64;

/// A job as the user has asked for it.
pub(crate) struct Job<'a> {
    /// What all jobs have in common.
    pub(crate) args: &'a JobArgs,
    /// What its rows are called.
    pub(crate) rows: &'a str,
    /// Where it reads.
    pub(crate) inputs: &'a [PathBuf],
    /// Where it writes, as the user has named it.
    pub(crate) output: Option<&'a Path>,
}

impl Job<'_> {
    /// Checks everything, runs the job to its end, and says how it went.
    pub(crate) fn perform(
        &self,
        printer: &Printer,
        options: impl FnOnce() -> Result<RunOptions>,
    ) -> Result<Exit> {
        let talk = &self.args.talk;
        let config = config(talk.config.as_deref())?;
        if let Some(report) = &talk.report {
            report_file::check(report, self.inputs, self.output)?;
        }
        let options = options()?;
        let style = Style::choose(talk.progress, talk.quiet);
        let concurrency = self.args.limits.concurrency;
        allow_files(concurrency.map_or(256, u32::from), printer);
        let runtime = runtime()?;
        let exit = runtime.block_on(async {
            match PreparedRun::new(options, config, &env::process) {
                Ok(prepared) => {
                    let end = attend(prepared, self, style).await;
                    exit_code(&end)
                }
                Err(error) => refused(&error, printer),
            }
        });
        // a thread that waits for a silent pipe must not hold the exit
        runtime.shutdown_timeout(Duration::from_millis(100));
        Ok(exit)
    }
}

/// The configuration in effect: the file that `--config` names, else the usual ones.
pub(crate) fn config(named: Option<&Path>) -> Result<Config> {
    let folder = std::env::current_dir().context("the working folder is gone")?;
    let config = Config::load(&folder, named, &env::process)?;
    Ok(config)
}

/// The threads of a job.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()?;
    Ok(runtime)
}

/// Says why nothing was sent.
pub(crate) fn refused(error: &RunError, printer: &Printer) -> Exit {
    printer.error(&anyhow!("{}", error.message));
    if let Some(hint) = &error.hint {
        printer.hint(hint);
    }
    // nothing of the command is wrong where a disk is: it goes on as soon as that works again
    match error.is_of_disk {
        true => Exit::StoppedEarly,
        false => Exit::Usage,
    }
}

/// Threads for calls. Planner, ledger and sequencer have threads of their own, and more threads than processors only
/// take turns: on two processors one worker spends a fifth less time on a row than two.
fn workers() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    processors.saturating_sub(1).max(1)
}

/// Runs it with progress and signals, and says the last words.
async fn attend(prepared: PreparedRun, job: &Job<'_>, style: Style) -> RunEnd {
    let args = &job.args.talk;
    let bar = style.bar();
    let printer = Arc::new(Printer::with_bar(bar.clone()));
    if !args.quiet {
        prepared.notes.iter().for_each(|note| printer.say(note));
    }
    let watch = prepared.watch();
    let signals = tokio::spawn(signals::drain_on_signal(
        watch.stop().clone(),
        watch.metrics().clone(),
        printer.clone(),
    ));
    let progress = tokio::spawn(progress::show(style, watch, printer.clone(), bar.clone()));
    let end = prepared.run().await;
    progress.abort();
    signals.abort();
    bar.finish_and_clear();
    // lines of an input that is read as rows
    let rows = job.rows.replace("lines", "rows");
    let about = report_file::about(job.inputs, job.output, &rows, end.stopped.as_ref());
    if let Some(path) = &args.report
        && let Err(error) = report_file::write(path, &end.report, &about)
    {
        printer.error(&error);
    }
    if let Some(reason) = &end.stopped {
        printer.error(&anyhow!("{}", last_words::why_stopped(reason)));
    }
    if (args.json || style == Style::Json)
        && let Ok(json) = serde_json::to_string(&end.report.numbers())
    {
        printer.say(&json);
    }
    if !args.json && !args.quiet {
        last_words::say(&end, job, &printer);
    }
    end
}

fn exit_code(end: &RunEnd) -> Exit {
    match end.stopped {
        Some(StopReason::Interrupted) => Exit::Interrupted,
        Some(_) => Exit::StoppedEarly,
        None if end.report.failed > 0 => Exit::SomeFailed,
        None => Exit::Success,
    }
}

/// Raises the limit of open files, and explains where that is not enough.
pub(crate) fn allow_files(concurrency: u32, printer: &Printer) {
    let needed = u64::from(concurrency) + OTHER_FILES;
    if let Ok(allowed) = rlimit::increase_nofile_limit(u64::MAX)
        && allowed < needed
    {
        printer.say(&format!(
            "only {allowed} files may be open, fewer than --concurrency {concurrency} may need; raise it with `ulimit -n {needed}`"
        ));
    }
}
