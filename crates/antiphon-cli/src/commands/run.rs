//! `antiphon run`.

use std::{fs, path::Path};

use antiphon::{
    config::DeciderSettings,
    core::job::Order,
    run::{Input, Output, RunOptions},
    session::SessionOptions,
};
use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{estimate, job::Job};
use crate::{
    Exit,
    args::{OrderArg, RunArgs, RunCommand, is_dash},
    job_args::JobArgs,
    printer::Printer,
};

/// A device that takes everything and keeps nothing.
const NOWHERE: &str = "/dev/null";

pub(crate) fn run(args: RunCommand, printer: &Printer) -> Result<Exit> {
    match args.dry_run {
        true => estimate::tell(&args.run, printer, false),
        false => send(&args.run, printer, true),
    }
}

/// Runs it. `shows_answers`: those of a run without an output file go to stdout, else nowhere but to its state.
pub(super) fn send(args: &RunArgs, printer: &Printer, shows_answers: bool) -> Result<Exit> {
    let job_args = args.job();
    let job = Job {
        args: &job_args,
        rows: "lines",
        inputs: std::slice::from_ref(&args.input),
        output: args.output.as_deref(),
    };
    job.perform(printer, || {
        let mut options = options(args, &job_args)?;
        if !shows_answers && options.output == Output::Stdout {
            options.output = Output::File(NOWHERE.into());
        }
        Ok(options)
    })
}

pub(super) fn options(args: &RunArgs, job: &JobArgs) -> Result<RunOptions> {
    let prompt = match &args.prompt_file {
        Some(path) => Some(read(path, "--prompt-file")?),
        None => args.prompt.clone(),
    };
    let output = match &args.output {
        Some(path) if !is_dash(path) => Output::File(path.clone()),
        _ => Output::Stdout,
    };
    let of_all_jobs = job.run_options(input_of(&args.input), output)?;
    Ok(RunOptions {
        input_format: args.input_format.clone(),
        model: args.model.clone(),
        prompt,
        system: args.system.clone(),
        schema: args.schema.as_deref().map(read_schema).transpose()?,
        session: SessionOptions {
            fallback: args.fallback.clone(),
            ensemble: match args.ensemble {
                Some(number) => Some((number, decider(args)?)),
                None => None,
            },
            samples: args.samples,
            ..of_all_jobs.session
        },
        order: match args.order {
            OrderArg::Input => Order::Input,
            OrderArg::Completion => Order::Completion,
        },
        limit: args.limit,
        sample: args.sample,
        include_input: args.include_input,
        ..of_all_jobs
    })
}

/// The input of this name, of which `-` is stdin.
pub(super) fn input_of(path: &Path) -> Input {
    match is_dash(path) {
        true => Input::Stdin,
        false => Input::File(path.to_owned()),
    }
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

/// Reads the file of `--schema`.
pub(super) fn read_schema(path: &Path) -> Result<Value> {
    serde_json::from_str(&read(path, "--schema")?)
        .with_context(|| format!("--schema {} is not JSON", path.display()))
}

/// Reads the file that a flag names.
pub(super) fn read(path: &Path, flag: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {flag} {}", path.display()))
}
