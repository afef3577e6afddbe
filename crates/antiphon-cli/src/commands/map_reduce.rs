//! `antiphon map-reduce`.

use std::{num::NonZeroU64, path::PathBuf, sync::Arc, time::Duration};

use antiphon::{
    Usd,
    core::{job::StopReason, patterns::OnFailure},
    env,
    map_reduce::{MapReduceEnd, MapReduceOptions, MapReduceWatch, PreparedMapReduce},
    session::SessionOptions,
};
use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    job::{allow_files, config, refused, runtime},
    params,
    run::read_schema,
};
use crate::{
    Exit,
    args::{at_least_one, budget, from_zero, is_dash},
    job_args::{LimitArgs, StateArgs, TalkArgs, TargetArgs, session_options},
    last_words,
    printer::Printer,
    progress::Style,
    report_file, signals, words,
};

const LINE_EVERY: Duration = Duration::from_secs(10);
const JSON_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `antiphon map-reduce`.
#[derive(Args, Debug)]
#[command(mut_arg("json", |json| json.help("Print the text, the documents and the numbers as JSON, in place of text and summary")))]
#[command(mut_arg("progress", |arg| arg.help("Progress on stderr: auto and plain are a line each 10 s, json is an object each second")))]
#[command(after_help = "\
Examples:
  antiphon map-reduce README.md docs/*.md --map 'List what it promises.' -m sim/demo
  antiphon map-reduce mails.jsonl --map 'What does {{ from }} ask for? {{ text }}' -m sim/a -o o.md
  antiphon map-reduce *.txt --window 128000 --schema findings.json -m sim/demo -o findings.json

Each file is a document, known by its path. A .jsonl file holds a document a line, {\"id\": …,
\"text\": …}, whose other fields are its metadata. A document that exceeds --window is split at
headings, paragraphs, lines or sentences. The answers are reduced in a tree, in the order of the
documents, so that no step exceeds the window either.

Every answer is kept in the state folder before the next step uses it: the same command again
makes only the calls that are missing. Equal documents are calls of their own; equal reduce
steps share one.

Exit codes: 0 the text is made of all documents, 1 some are missing in it or there is none
because calls failed, 2 nothing was sent, 3 stopped early (key, account, unreachable, budget,
deadline, disk), 130 interrupted.")]
pub(crate) struct MapReduceArgs {
    /// Documents: text files, or .jsonl with one a line
    #[arg(required = true, value_name = "FILES", value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Output file for the text; - or nothing writes to stdout
    #[arg(short, long)]
    output: Option<PathBuf>,

    /// What is done with each document: an instruction, or a template with {{ text }}, {{ id }} and the metadata's fields
    /// [default: summarise it]
    #[arg(long, value_name = "TEXT", help_heading = "Prompt")]
    map: Option<String>,
    /// Instruction by which answers are made one [default: combine them]
    #[arg(long, value_name = "TEXT", help_heading = "Prompt")]
    reduce: Option<String>,
    /// JSON Schema that the last answer must fit; an answer that does not is asked for again
    #[arg(long, value_name = "FILE", help_heading = "Prompt")]
    schema: Option<PathBuf>,

    /// Model, provider/model or a configured name
    #[arg(short, long, help_heading = "Model")]
    model: Option<String>,
    /// Model of the reduce steps [default: the same]
    #[arg(long, value_name = "MODEL", help_heading = "Model")]
    reduce_model: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    /// Context window of the models, input and output together; the default fits nearly every model
    #[arg(
        long,
        value_name = "TOKENS",
        default_value_t = 8_000,
        help_heading = "Model"
    )]
    window: usize,
    /// Output cap of every call, kept free in the window [default: 1024]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU64>, allow_negative_numbers = true, help_heading = "Model")]
    max_output_tokens: Option<NonZeroU64>,

    /// Texts that a reduce step takes at most, 2 or more [default: 10]
    #[arg(long, value_name = "N", value_parser = from_zero::<usize>, allow_negative_numbers = true, help_heading = "Documents")]
    fan_in: Option<usize>,
    /// When the call about a document fails: give up once all are asked, or go on without it and say so
    #[arg(long, value_enum, default_value_t = OnFailureArg::Fail, help_heading = "Documents")]
    on_failure: OnFailureArg,

    /// Most dollars that all runs of the job may cost; what is under way counts with its worst case
    #[arg(long, value_name = "USD", value_parser = budget, allow_negative_numbers = true, help_heading = "Limits")]
    budget: Option<Usd>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    talk: TalkArgs,
}

/// What becomes of the whole when calls about documents fail.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnFailureArg {
    Fail,
    Skip,
}

impl MapReduceArgs {
    fn output(&self) -> Option<&PathBuf> {
        self.output.as_ref().filter(|path| !is_dash(path))
    }

    fn options(&self) -> Result<MapReduceOptions> {
        Ok(MapReduceOptions {
            files: self.files.clone(),
            output: self.output().cloned(),
            state: self.state.state.clone(),
            fresh: self.state.fresh,
            model: self.model.clone(),
            reduce_model: self.reduce_model.clone(),
            map: self.map.clone(),
            reduce: self.reduce.clone(),
            schema: self.schema.as_deref().map(read_schema).transpose()?,
            params: params::parse(&self.target.params)?,
            window_tokens: self.window,
            max_output_tokens: self.max_output_tokens.map(NonZeroU64::get),
            fan_in: self.fan_in,
            on_failure: match self.on_failure {
                OnFailureArg::Fail => OnFailure::Fail,
                OnFailureArg::Skip => OnFailure::Skip,
            },
            session: SessionOptions {
                budget: self.budget,
                ..session_options(&self.target, &self.limits)
            },
            deadline: self.limits.deadline,
        })
    }
}

pub(crate) fn run(args: &MapReduceArgs, printer: &Printer) -> Result<Exit> {
    let config = config(args.talk.config.as_deref())?;
    if let Some(report) = &args.talk.report {
        let output = args.output().map(PathBuf::as_path);
        report_file::check(report, &args.files, output)?;
    }
    let options = args.options()?;
    allow_files(args.limits.concurrency.map_or(256, u32::from), printer);
    let runtime = runtime()?;
    let exit = runtime.block_on(async {
        match PreparedMapReduce::new(options, config, &env::process) {
            Ok(prepared) => attend(prepared, args).await,
            Err(error) => Ok(refused(&error, printer)),
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    exit
}

/// Runs it with progress and signals, shows the text, and says the last words.
async fn attend(prepared: PreparedMapReduce, args: &MapReduceArgs) -> Result<Exit> {
    let talk = &args.talk;
    let printer = Arc::new(Printer::new());
    if !talk.quiet {
        prepared.notes.iter().for_each(|note| printer.say(note));
    }
    let watch = prepared.watch();
    let (stop, metrics) = (watch.stop().clone(), watch.metrics().clone());
    let signals = tokio::spawn(signals::drain_on_signal(stop, metrics, printer.clone()));
    let style = Style::choose(talk.progress, talk.quiet);
    let progress = tokio::spawn(show(style, watch, printer.clone()));
    let end = prepared.run().await;
    progress.abort();
    signals.abort();
    let output = args.output().map(PathBuf::as_path);
    let about = report_file::about(&args.files, output, "calls", end.stopped.as_ref());
    if let Some(path) = &talk.report
        && let Err(error) = report_file::write(path, &end.report, &about)
    {
        printer.error(&error);
    }
    if let Some(reason) = &end.stopped {
        printer.error(&anyhow!("{}", last_words::why_stopped(reason)));
    } else if let Err(error) = &end.result {
        printer.error(&anyhow!("{error}"));
    }
    if let Some(error) = &end.unwritten {
        printer.error(&anyhow!("{}", error.message));
    }
    if talk.json {
        printer.data(&format!("{}\n", as_json(&end)?))?;
    } else if let Some(reduced) = end.reduced()
        && args.output().is_none()
    {
        printer.data(&format!("{}\n", reduced.text.trim_end()))?;
    }
    if !talk.json && !talk.quiet {
        say(&end, args, &printer);
    }
    Ok(exit_code(&end))
}

fn exit_code(end: &MapReduceEnd) -> Exit {
    match (&end.stopped, end.reduced()) {
        (Some(StopReason::Interrupted), _) => Exit::Interrupted,
        (Some(_), _) => Exit::StoppedEarly,
        _ if end.unwritten.is_some() => Exit::StoppedEarly,
        (None, Some(reduced)) if reduced.missing().next().is_none() => Exit::Success,
        (None, _) => Exit::SomeFailed,
    }
}

/// Shows progress until it is dropped.
async fn show(style: Style, watch: MapReduceWatch, printer: Arc<Printer>) {
    let every = match style {
        Style::Nothing => return,
        Style::Bar | Style::Lines => LINE_EVERY,
        Style::Json => JSON_EVERY,
    };
    loop {
        tokio::time::sleep(every).await;
        let report = watch.report();
        let line = match style {
            Style::Json => serde_json::to_string(&report).unwrap_or_default(),
            _ => progress_line(&watch),
        };
        printer.say(&line);
    }
}

fn progress_line(watch: &MapReduceWatch) -> String {
    let report = watch.report();
    let finished = report.succeeded + report.failed;
    let known = words::several(report.total, "known call", "known calls");
    let mut parts = vec![
        format!("{} of {known}", words::count(finished)),
        format!("{} in flight", watch.metrics().snapshot().in_flight),
    ];
    let retries: u64 = report.retries_by_kind.values().sum();
    if retries > 0 {
        parts.push(words::several(retries, "retry", "retries"));
    }
    if report.failed > 0 {
        parts.push(format!("{} failed", words::count(report.failed)));
    }
    parts.join(" · ")
}

/// The last words.
fn say(end: &MapReduceEnd, args: &MapReduceArgs, printer: &Printer) {
    let report = &end.report;
    let mut parts = Vec::new();
    if let Some(reduced) = end.reduced() {
        let count = reduced.documents.len() as u64;
        parts.push(words::several(count, "document", "documents"));
        let missing: Vec<String> = reduced
            .missing()
            .map(|document| document.id.clone())
            .collect();
        if !missing.is_empty() {
            let shown = missing
                .iter()
                .take(3)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            let more = if missing.len() > 3 { ", …" } else { "" };
            let count = missing.len();
            parts.push(format!("all or part of {count} missing ({shown}{more})"));
        }
    }
    let calls = words::several(report.succeeded, "call answered", "calls answered");
    parts.push(match report.resumed {
        0 => calls,
        earlier => format!("{calls} ({} in earlier runs)", words::count(earlier)),
    });
    if report.failed > 0 {
        let failed = words::count(report.failed);
        parts.push(format!(
            "{failed} failed ({})",
            words::tally(&report.errors_by_code)
        ));
    }
    end.notes.iter().for_each(|note| printer.say(note));
    printer.say(&parts.join(", "));
    printer.say(&last_words::what_it_took(report));
    let is_kept = args.output().is_some() || args.state.state.is_some();
    let is_whole = exit_code(end) == Exit::Success;
    if !is_whole && is_kept {
        printer.say(&last_words::to_go_on(
            end.stopped.as_ref(),
            args.budget,
            report,
        ));
    } else if !is_whole {
        printer.say("without -o or --state nothing is kept; pass one to be able to go on");
    } else if let Some(path) = args.output() {
        printer.say(&format!("the text: {}", path.display()));
    }
}

fn as_json(end: &MapReduceEnd) -> Result<Value> {
    let reduced = end.reduced();
    let documents = reduced.map(|reduced| {
        let documents = reduced.documents.iter().map(|document| {
            let failed = document.pieces.iter().enumerate().filter_map(|(piece, outcome)| {
                let error = outcome.as_ref().err()?;
                Some(json!({"piece": piece, "code": error.kind().code(), "message": error.message()}))
            });
            json!({
                "id": document.id,
                "metadata": document.metadata,
                "pieces": document.pieces.len(),
                "failed": failed.collect::<Vec<_>>(),
            })
        });
        documents.collect::<Vec<_>>()
    });
    Ok(json!({
        "text": reduced.map(|reduced| &reduced.text),
        "value": reduced.and_then(|reduced| reduced.value.as_ref()),
        "documents": documents,
        "levels": reduced.map(|reduced| &reduced.levels),
        "error": end.result.as_ref().err().map(ToString::to_string),
        "report": serde_json::to_value(end.report.numbers())?,
    }))
}
