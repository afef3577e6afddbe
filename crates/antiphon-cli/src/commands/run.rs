//! `antiphon run`.

use std::{fs, path::Path, sync::Arc, time::Duration};

use antiphon::{
    Config,
    config::DeciderSettings,
    core::job::{Order, StopReason},
    env,
    run::{Input, Output, PreparedRun, RunEnd, RunOptions},
    session::{SessionOptions, default_cache_dir},
};
use anyhow::{Context, Result, anyhow, bail};

use super::params;
use crate::{
    Exit,
    args::{OrderArg, RunArgs, is_dash},
    last_words,
    printer::Printer,
    progress::{self, Style},
    report_file, signals,
};

/// Files that are open beside the connections.
const OTHER_FILES: u64 = 64;
/// Retries of a row where neither a flag nor the configuration says: nobody sits and waits for a single one.
const RUN_MAX_RETRIES: u32 = 10;

pub(crate) fn run(args: RunArgs, printer: &Printer) -> Result<Exit> {
    let folder = std::env::current_dir().context("the working folder is gone")?;
    let config = Config::load(&folder, args.config.as_deref(), &env::process)?;
    if let Some(report) = &args.report {
        report_file::check(report, &args)?;
    }
    let options = options(&args)?;
    let style = Style::choose(args.progress, args.quiet);
    allow_files(args.concurrency.map_or(256, u32::from), printer);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()?;
    let exit = runtime.block_on(async {
        let prepared = match PreparedRun::new(options, config, &env::process) {
            Ok(prepared) => prepared,
            Err(error) => {
                printer.error(&anyhow!("{}", error.message));
                if let Some(hint) = &error.hint {
                    printer.hint(hint);
                }
                // nothing of the command is wrong where a disk is: it goes on as soon as that works again
                return Ok(if error.is_of_disk {
                    Exit::StoppedEarly
                } else {
                    Exit::Usage
                });
            }
        };
        Ok(attend(prepared, &args, style).await)
    });
    // a thread that waits for a silent pipe must not hold the exit
    runtime.shutdown_timeout(Duration::from_millis(100));
    exit
}

/// Threads for calls. Planner, ledger and sequencer have threads of their own, and more threads than processors only
/// take turns: on two processors one worker spends a fifth less time on a row than two.
fn workers() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    processors.saturating_sub(1).max(1)
}

/// Runs it with progress and signals, and says the last words.
async fn attend(prepared: PreparedRun, args: &RunArgs, style: Style) -> Exit {
    let bar = style.bar();
    let printer = Arc::new(Printer::with_bar(bar.clone()));
    if !args.quiet {
        prepared.notes.iter().for_each(|note| printer.say(note));
    }
    let watch = prepared.watch();
    let signals = tokio::spawn(signals::drain_on_signal(watch.clone(), printer.clone()));
    let progress = tokio::spawn(progress::show(style, watch, printer.clone(), bar.clone()));
    let end = prepared.run().await;
    progress.abort();
    signals.abort();
    bar.finish_and_clear();
    if let Some(path) = &args.report
        && let Err(error) = report_file::write(path, &end.report)
    {
        printer.error(&error);
    }
    if let Some(reason) = &end.stopped {
        printer.error(&anyhow!("{}", last_words::why_stopped(reason)));
    }
    if (args.json || style == Style::Json)
        && let Ok(json) = serde_json::to_string(&end.report)
    {
        printer.say(&json);
    }
    if !args.json && !args.quiet {
        last_words::say(&end, args, &printer);
    }
    exit_code(&end)
}

fn exit_code(end: &RunEnd) -> Exit {
    match end.stopped {
        Some(StopReason::Interrupted) => Exit::Interrupted,
        Some(_) => Exit::StoppedEarly,
        None if end.report.failed > 0 => Exit::SomeFailed,
        None => Exit::Success,
    }
}

fn options(args: &RunArgs) -> Result<RunOptions> {
    let prompt = match &args.prompt_file {
        Some(path) => Some(read(path, "--prompt-file")?),
        None => args.prompt.clone(),
    };
    let schema = match &args.schema {
        Some(path) => Some(
            serde_json::from_str(&read(path, "--schema")?)
                .with_context(|| format!("--schema {} is not JSON", path.display()))?,
        ),
        None => None,
    };
    Ok(RunOptions {
        input: if is_dash(&args.input) {
            Input::Stdin
        } else {
            Input::File(args.input.clone())
        },
        input_format: args.input_format.clone(),
        output: match &args.output {
            Some(path) if !is_dash(path) => Output::File(path.clone()),
            _ => Output::Stdout,
        },
        state: args.state.clone(),
        model: args.model.clone(),
        prompt,
        system: args.system.clone(),
        schema,
        params: params::parse(&args.params)?,
        session: SessionOptions {
            provider: args.provider.clone(),
            base_url: args.base_url.clone(),
            concurrency: args.concurrency,
            rpm: args.rpm,
            tpm: args.tpm,
            itpm: args.itpm,
            otpm: args.otpm,
            max_retries: args.max_retries,
            usual_max_retries: Some(RUN_MAX_RETRIES),
            timeout: args.timeout,
            max_wait: args.max_wait,
            coalesce: args.coalesce,
            fallback: args.fallback.clone(),
            ensemble: match args.ensemble {
                Some(number) => Some((number, decider(args)?)),
                None => None,
            },
            samples: args.samples,
        },
        cache_dir: match args.cache && !args.no_cache {
            true => Some(
                default_cache_dir(&env::process)
                    .context("--cache: no home folder; set XDG_CACHE_HOME")?,
            ),
            false => None,
        },
        order: match args.order {
            OrderArg::Input => Order::Input,
            OrderArg::Completion => Order::Completion,
        },
        limit: args.limit,
        deadline: args.deadline,
        strict: args.strict,
        fresh: args.fresh,
        retry_failed: args.retry_failed,
        max_error_rate: args.max_error_rate,
        include_input: args.include_input,
    })
}

/// How an ensemble decides. Answers of one shape need nobody to: their fields are voted on.
fn decider(args: &RunArgs) -> Result<DeciderSettings> {
    let named = [
        args.decide.clone().map(DeciderSettings::Decide),
        args.judge.clone().map(DeciderSettings::Judge),
        args.synthesize.clone().map(DeciderSettings::Synthesize),
    ];
    if let Some(named) = named.into_iter().flatten().next() {
        return Ok(named);
    }
    Ok(match (args.vote.as_slice(), &args.schema) {
        ([], None) => DeciderSettings::Unsaid,
        ([], Some(_)) => DeciderSettings::Vote(Vec::new()),
        (fields, _) if fields.iter().any(|field| field == "all") => {
            DeciderSettings::Vote(Vec::new())
        }
        (fields, None) => bail!(
            "--vote {} needs a --schema that has it; --vote all counts whole answers",
            fields[0]
        ),
        (fields, Some(_)) => DeciderSettings::Vote(fields.to_vec()),
    })
}

fn read(path: &Path, flag: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {flag} {}", path.display()))
}

/// Raises the limit of open files, and explains where that is not enough.
fn allow_files(concurrency: u32, printer: &Printer) {
    let needed = u64::from(concurrency) + OTHER_FILES;
    if let Ok(allowed) = rlimit::increase_nofile_limit(u64::MAX)
        && allowed < needed
    {
        printer.say(&format!(
            "only {allowed} files may be open, fewer than --concurrency {concurrency} may need; raise it with `ulimit -n {needed}`"
        ));
    }
}
