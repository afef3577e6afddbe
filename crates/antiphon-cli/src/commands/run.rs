//! `antiphon run`.

use std::{fs, path::Path, sync::Arc, time::Duration};

use antiphon::{
    Config,
    core::job::{Order, StopReason},
    env,
    run::{Input, Output, PreparedRun, RunEnd, RunOptions},
    session::SessionOptions,
};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};

use crate::{
    Exit,
    args::{OrderArg, RunArgs},
    printer::Printer,
    progress::{self, Style},
    signals, words,
};

/// Files that are open beside the connections.
const OTHER_FILES: u64 = 64;

pub(crate) fn run(args: RunArgs, printer: &Printer) -> Result<Exit> {
    let folder = std::env::current_dir().context("the working folder is gone")?;
    let config = Config::load(&folder, args.config.as_deref(), &env::process)?;
    check_report(args.report.as_deref())?;
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
                return Ok(Exit::Usage);
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
        && let Err(error) = write_report(path, &end)
    {
        printer.error(&error);
    }
    if let Some(reason) = &end.stopped {
        printer.error(&anyhow!("{}", stop_words(reason)));
    }
    if args.json {
        if let Ok(json) = serde_json::to_string(&end.report) {
            printer.say(&json);
        }
    } else if !args.quiet {
        last_words(&end, args, &printer);
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
        input: match args.input.as_str() {
            "-" => Input::Stdin,
            path => Input::File(path.into()),
        },
        input_format: args.input_format.clone(),
        output: match args.output.as_deref() {
            None | Some("-") => Output::Stdout,
            Some(path) => Output::File(path.into()),
        },
        state: args.state.clone(),
        model: args.model.clone(),
        prompt,
        system: args.system.clone(),
        schema,
        params: params(&args.params)?,
        session: SessionOptions {
            provider: args.provider.clone(),
            base_url: args.base_url.clone(),
            concurrency: args.concurrency,
            rpm: args.rpm,
            tpm: args.tpm,
            itpm: args.itpm,
            otpm: args.otpm,
            max_retries: Some(args.max_retries),
            timeout: args.timeout,
            max_wait: args.max_wait,
            coalesce: args.coalesce,
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

fn read(path: &Path, flag: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {flag} {}", path.display()))
}

/// `temperature=0`, `stop=["a"]`; a bare word is text.
fn params(given: &[String]) -> Result<Map<String, Value>> {
    let mut params = Map::new();
    for param in given {
        let Some((name, text)) = param.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            bail!("--param {param}: write KEY=JSON, for instance temperature=0");
        };
        let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(_) if is_word => Value::from(text),
            Err(error) => bail!(
                "--param {name}: {text} is not JSON ({error}); text needs quotes: '{name}=\"…\"'"
            ),
        };
        params.insert(name.to_owned(), value);
    }
    Ok(params)
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

fn check_report(report: Option<&Path>) -> Result<()> {
    let Some(path) = report else { return Ok(()) };
    if path.extension().is_none_or(|extension| extension != "json") {
        bail!("--report {}: reports are written as .json", path.display());
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        bail!("--report {}: the folder does not exist", path.display());
    }
    Ok(())
}

fn write_report(path: &Path, end: &RunEnd) -> Result<()> {
    let json = serde_json::to_string_pretty(&end.report)?;
    fs::write(path, json + "\n")
        .with_context(|| format!("cannot write --report {}", path.display()))
}

fn stop_words(reason: &StopReason) -> String {
    match reason {
        StopReason::Interrupted => "interrupted".to_owned(),
        StopReason::Account(error) => format!("stopped: {error}"),
        StopReason::Unreachable(error) => format!("stopped, the provider is unreachable: {error}"),
        StopReason::WaitTooLong(error) => format!(
            "stopped: the provider asks for a wait of {}, longer than --max-wait: {error}",
            words::duration(error.retry_after().unwrap_or_default())
        ),
        StopReason::ErrorRate { rate } => {
            format!(
                "stopped: {:.1} % of the rows failed, more than --max-error-rate",
                rate * 100.0
            )
        }
        StopReason::Deadline => "stopped at the --deadline".to_owned(),
        StopReason::Disk(error) => format!("stopped: {error}"),
        StopReason::OutputClosed => "stopped: nobody reads stdout any more".to_owned(),
        StopReason::Input(error) => format!("stopped: {error}"),
    }
}

/// The last words: what became of the rows, what it took, and what to do next.
fn last_words(end: &RunEnd, args: &RunArgs, printer: &Printer) {
    let report = &end.report;
    end.notes.iter().for_each(|note| printer.say(note));
    let mut line = format!(
        "{}: {} succeeded",
        words::rows(report.total),
        words::count(report.succeeded)
    );
    let finished = &end.progress.finished;
    let special: Vec<String> = [
        (finished.cut_off, "cut off at their length limit"),
        (finished.refused, "refused by the model"),
    ]
    .iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{} {what}", words::count(*number)))
    .collect();
    if !special.is_empty() {
        line.push_str(&format!(" ({})", special.join(", ")));
    }
    line.push_str(&format!(", {} failed", words::count(report.failed)));
    if report.failed > 0 {
        line.push_str(&format!(" ({})", words::tally(&report.errors_by_code)));
    }
    if report.pending > 0 || end.stopped.is_some() {
        line.push_str(&format!(", {} pending", words::count(report.pending)));
    }
    if report.resumed > 0 {
        line.push_str(&format!(
            ", {} from earlier runs",
            words::count(report.resumed)
        ));
    }
    printer.say(&line);
    let retries: u64 = report.retries_by_kind.values().sum();
    let mut took = vec![words::duration(Duration::from_secs_f64(report.duration_s))];
    if retries > 0 {
        took.push(format!(
            "{} retries ({})",
            words::count(retries),
            words::tally(&report.retries_by_kind)
        ));
    } else {
        took.push("no retries".to_owned());
    }
    took.push(format!(
        "{} tokens in, {} out",
        words::count(report.usage.input_tokens),
        words::count(report.usage.output_tokens)
    ));
    took.push("cost unknown".to_owned());
    printer.say(&took.join(" · "));
    if let Some(next) = next_command(end, args) {
        printer.say(&next);
    }
}

fn next_command(end: &RunEnd, args: &RunArgs) -> Option<String> {
    let resumable =
        args.state.is_some() || args.output.as_deref().is_some_and(|output| output != "-");
    let again = |extra: Option<&str>| {
        let words: Vec<String> = std::env::args()
            .chain(extra.map(str::to_owned))
            .filter(|word| word != "--fresh")
            .collect();
        shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default()
    };
    let transient = end
        .progress
        .finished
        .errors
        .keys()
        .any(|kind| kind.is_transient());
    if !resumable {
        let unfinished = end.stopped.is_some() || end.report.failed > 0;
        return unfinished.then(|| {
            "without -o or --state nothing is kept; pass one to be able to go on".to_owned()
        });
    }
    if end.stopped.is_some() || transient {
        return Some(format!("to go on: {}", again(None)));
    }
    if end.report.failed > 0 {
        let has_it = args.retry_failed;
        return Some(format!(
            "to send failed rows again: {}",
            again((!has_it).then_some("--retry-failed"))
        ));
    }
    let output = args.output.as_deref().filter(|output| *output != "-")?;
    Some(format!("answers: {output}"))
}
