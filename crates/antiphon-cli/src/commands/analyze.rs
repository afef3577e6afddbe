//! `antiphon analyze`.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use antiphon::{
    core::patterns::{Classify, Extract, JudgeSentiment, Summarize},
    run::{Analysis, Input, Output, RunOptions},
};
use anyhow::Result;
use clap::Args;

use super::job::Job;
use crate::{
    Exit,
    args::{from_zero, is_dash},
    job_args::JobArgs,
    printer::Printer,
};

/// Arguments of `antiphon analyze`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  antiphon analyze README.md docs/ledger.md --summary -m sim/demo
  antiphon analyze mails.jsonl --classify complaint,order -m openai/gpt-4o-mini -o kinds.jsonl
  antiphon analyze bills/*.txt --extract number,date,total -m sim/demo -o fields.jsonl

Each file is a document, known by its path. A .jsonl file holds a document a line, {\"id\": …,
\"text\": …}, whose other fields are its metadata. The model sees the text alone, and answers at
temperature 0.3 unless --param temperature says otherwise. A line comes out for each document,
in their order: `custom_id` is the id, `antiphon.parsed` the result, and `input` the id and the
metadata without the text. On a terminal, without -o, results are shown to be read.

The same command again goes on where the last one stopped. Documents that have a result are
never sent again.

Exit codes: 0 all documents succeeded, 1 some failed, 2 nothing was sent, 3 stopped early, 130
interrupted.")]
pub(crate) struct AnalyzeArgs {
    /// Documents: text files, or .jsonl with one a line
    #[arg(required = true, value_name = "FILES", value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Output file, .jsonl; - or nothing writes to stdout
    #[arg(short, long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    kind: KindArgs,

    /// Model of every document, provider/model or a configured name
    #[arg(short, long, help_heading = "Model")]
    model: Option<String>,
    /// Read only the first N documents
    #[arg(long, value_name = "N", value_parser = from_zero::<u64>, allow_negative_numbers = true, help_heading = "Rows")]
    limit: Option<u64>,
    #[command(flatten)]
    job: JobArgs,
}

/// What is asked about every document: one of these.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct KindArgs {
    /// What it says, in two or three sentences: {summary}
    #[arg(long, help_heading = "Analysis")]
    summary: bool,
    /// Its tone, and how sure the model is: {sentiment: positive|negative|neutral, confidence}
    #[arg(long, help_heading = "Analysis")]
    sentiment: bool,
    /// These fields, in the document's own words; null where it does not tell one
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        help_heading = "Analysis"
    )]
    extract: Option<Vec<String>>,
    /// The category that fits best, and how sure the model is: {category, confidence}
    #[arg(
        long,
        value_name = "X,Y",
        value_delimiter = ',',
        help_heading = "Analysis"
    )]
    classify: Option<Vec<String>>,
}

impl KindArgs {
    fn analysis(&self) -> Result<Analysis> {
        Ok(match (&self.extract, &self.classify) {
            (Some(fields), _) => Analysis::Extract(Extract::new(fields)?),
            (_, Some(categories)) => Analysis::Classify(Classify::new(categories)?),
            _ if self.sentiment => Analysis::Sentiment(JudgeSentiment::default()),
            _ => Analysis::Summary(Summarize::default()),
        })
    }
}

pub(crate) fn run(args: &AnalyzeArgs, printer: &Printer) -> Result<Exit> {
    let job = Job {
        args: &args.job,
        rows: "documents",
        inputs: &args.files,
        output: args.output.as_deref(),
    };
    job.perform(printer, || options(args))
}

fn options(args: &AnalyzeArgs) -> Result<RunOptions> {
    let input = Input::Documents(args.files.clone());
    let output = match &args.output {
        Some(path) if !is_dash(path) => Output::File(path.clone()),
        None if io::stdout().is_terminal() => Output::Readable,
        _ => Output::Stdout,
    };
    Ok(RunOptions {
        model: args.model.clone(),
        analysis: Some(args.kind.analysis()?),
        limit: args.limit,
        ..args.job.run_options(input, output)?
    })
}
