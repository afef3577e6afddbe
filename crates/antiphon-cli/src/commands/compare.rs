//! `antiphon compare`.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use antiphon::{
    compare::{Answered, ComparedRow, Comparison, Scores, compare},
    run::{Output, RunOptions, Variant},
};
use anyhow::{Context, Result, bail};
use clap::Args;

use super::{
    job::Job,
    run::{input_of, read, read_schema},
};
use crate::{
    Exit,
    args::{from_zero, is_dash},
    job_args::JobArgs,
    printer::{Printer, clean},
    words,
};

/// Rows that are shown side by side.
const SHOWN_ROWS: usize = 5;
/// Characters of an answer that are shown.
const SHOWN_CHARS: usize = 100;

/// Arguments of `antiphon compare`.
#[derive(Args, Debug)]
#[command(mut_arg("json", |json| json.help("Print the comparison as JSON in place of the table, and the report on stderr in place of the summary")))]
#[command(after_help = "\
Examples:
  antiphon compare examples/questions.jsonl --prompt '{{ question }}' -m sim/a -m sim/b
  antiphon compare mails.jsonl --prompt-file a.txt --prompt-file b.txt -m sim/a -o tried.jsonl
  antiphon compare rows.jsonl --prompt-file ask.txt --schema answer.json -m sim/a -m sim/b

Every row is asked in every way: each prompt (--prompt first, then --prompt-file) with each
model. The table has a line for each way; agreement is the share of rows with the same answer as
the first way (the same text but for white space around it, with --schema the same value). The
output has a line for each row and way, in that order; custom_id is the row's, a colon and the
name of the way.

The same command again goes on where the last one stopped; a way that is added pays for itself
alone.

Exit codes: 0 all rows succeeded in every way, 1 some failed, 2 nothing was sent, 3 stopped
early, 130 interrupted.")]
pub(crate) struct CompareArgs {
    /// File of rows or requests, .jsonl or .txt; - reads stdin
    #[arg(value_hint = clap::ValueHint::FilePath)]
    input: PathBuf,
    /// Output file, .jsonl [default: none, only the table is kept]
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Format of the input, where its name does not tell: jsonl, txt
    #[arg(long, value_name = "FORMAT")]
    input_format: Option<String>,

    /// Template of a prompt over a row's fields, for instance '{{ question }}' (repeatable)
    #[arg(long, value_name = "TEMPLATE", help_heading = "Prompt")]
    prompt: Vec<String>,
    /// The same from a file, whose name without its ending is the prompt's (repeatable)
    #[arg(long, value_name = "FILE", help_heading = "Prompt")]
    prompt_file: Vec<PathBuf>,
    /// Template of a system message
    #[arg(long, value_name = "TEMPLATE", help_heading = "Prompt")]
    system: Option<String>,
    /// JSON Schema that every answer must fit; answers that do not are asked for again
    #[arg(long, value_name = "FILE", help_heading = "Prompt")]
    schema: Option<PathBuf>,

    /// Model, provider/model or a configured name (repeatable)
    #[arg(short, long, help_heading = "Model")]
    model: Vec<String>,
    /// Read only the first N rows
    #[arg(long, value_name = "N", value_parser = from_zero::<u64>, allow_negative_numbers = true, help_heading = "Rows")]
    limit: Option<u64>,
    /// Carry the input line in each output line
    #[arg(long, help_heading = "Rows")]
    include_input: bool,
    /// Show the first N rows side by side [default: 5 on a terminal and with --json, else none]
    #[arg(long, value_name = "N", value_parser = from_zero::<usize>, allow_negative_numbers = true, help_heading = "Talk")]
    rows: Option<usize>,
    #[command(flatten)]
    job: JobArgs,
}

pub(crate) fn run(args: &CompareArgs, printer: &Printer) -> Result<Exit> {
    let variants = variants(args)?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let output = match &args.output {
        Some(path) if is_dash(path) => bail!("-o -: stdout is for the table; name a file"),
        Some(path) => path.clone(),
        None => folder.path().join("compared.jsonl"),
    };
    let job = Job {
        args: &args.job,
        rows: "lines",
        inputs: std::slice::from_ref(&args.input),
        output: args.output.as_deref(),
    };
    let exit = job.perform(printer, || options(args, &variants, &output))?;
    if exit == Exit::Usage || !output.exists() {
        return Ok(exit);
    }
    let json = args.job.talk.json;
    let shows_rows = json || io::stdout().is_terminal();
    let rows = args.rows.unwrap_or(if shows_rows { SHOWN_ROWS } else { 0 });
    let found = compare(&output, &variants, rows)
        .with_context(|| format!("cannot read {}", output.display()))?;
    let text = match json {
        true => serde_json::to_string(&found)? + "\n",
        false => as_text(&found),
    };
    printer.data(&text)?;
    Ok(exit)
}

/// Every prompt with every model.
fn variants(args: &CompareArgs) -> Result<Vec<Variant>> {
    let inline = args.prompt.iter().enumerate();
    let mut prompts: Vec<(String, Option<String>)> = inline
        .map(|(index, prompt)| (format!("prompt-{}", index + 1), Some(prompt.clone())))
        .collect();
    for path in &args.prompt_file {
        let stem = path.file_stem().unwrap_or(path.as_os_str());
        let text = read(path, "--prompt-file")?;
        prompts.push((stem.to_string_lossy().into_owned(), Some(text)));
    }
    if prompts.is_empty() {
        prompts.push((String::new(), None));
    }
    let mut models: Vec<Option<String>> = args.model.iter().cloned().map(Some).collect();
    if models.is_empty() {
        models.push(None);
    }
    if prompts.len() * models.len() < 2 {
        bail!(
            "there is one way to ask and nothing to compare it with; name two prompts (--prompt, --prompt-file) or two models (-m)"
        );
    }
    let mut variants: Vec<Variant> = Vec::new();
    for (label, prompt) in &prompts {
        for model in &models {
            let prompt_name = Some(label.as_str()).filter(|_| prompts.len() > 1);
            let model_name = model.as_deref().filter(|_| models.len() > 1);
            let name: Vec<&str> = prompt_name.into_iter().chain(model_name).collect();
            let name = unused(&name.join("@"), &variants);
            variants.push(Variant {
                name,
                model: model.clone(),
                prompt: prompt.clone(),
            });
        }
    }
    Ok(variants)
}

/// The name, with a number where another variant has it.
fn unused(name: &str, others: &[Variant]) -> String {
    let is_free = |name: &str| others.iter().all(|other| other.name != name);
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| is_free(name))
        .unwrap_or_default()
}

fn options(args: &CompareArgs, variants: &[Variant], output: &Path) -> Result<RunOptions> {
    let output = Output::File(output.to_owned());
    Ok(RunOptions {
        input_format: args.input_format.clone(),
        variants: variants.to_vec(),
        system: args.system.clone(),
        schema: args.schema.as_deref().map(read_schema).transpose()?,
        limit: args.limit,
        include_input: args.include_input,
        ..args.job.run_options(input_of(&args.input), output)?
    })
}

fn as_text(found: &Comparison) -> String {
    let heads = [
        "variant",
        "answered",
        "failed",
        "mean ms",
        "p90 ms",
        "tokens in",
        "out",
        "chars",
        "cost",
        "agreement",
    ];
    let mut table = vec![heads.map(str::to_owned).to_vec()];
    table.extend(found.variants.iter().map(cells));
    let mut text = aligned(&table);
    for row in &found.rows {
        text.push_str(&format!("\n{}\n", clean(&row.id)));
        text.push_str(&side_by_side(row, &found.variants));
    }
    text
}

fn cells(scores: &Scores) -> Vec<String> {
    let number = |value: Option<f64>, places: usize| match value {
        Some(value) => format!("{value:.places$}"),
        None => "–".to_owned(),
    };
    vec![
        clean(&scores.name),
        words::count(scores.answered),
        words::count(scores.failed),
        number(scores.latency_ms.mean, 1),
        number(scores.latency_ms.p90, 1),
        words::count(scores.usage.input_tokens),
        words::count(scores.usage.output_tokens),
        number(scores.mean_chars, 0),
        scores.cost_usd.map_or("unknown".to_owned(), words::dollars),
        match scores.agreement {
            Some(share) => format!("{:.1} %", share * 100.0),
            None => "–".to_owned(),
        },
    ]
}

/// Columns side by side: the first reads from the left, numbers stand at the right.
fn aligned(table: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in table {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            }
        });
        let cells: Vec<String> = cells.collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn side_by_side(row: &ComparedRow, variants: &[Scores]) -> String {
    let answers = row.answers.iter().zip(variants);
    let lines = answers.map(|(answer, scores)| {
        let said = match answer {
            Some(Answered::Text(text)) => clipped(text),
            Some(Answered::Error { code, message }) => {
                clipped(&format!("failed, {code}: {message}"))
            }
            None => "not asked yet".to_owned(),
        };
        vec![format!("  {}", clean(&scores.name)), said]
    });
    let lines: Vec<Vec<String>> = lines.collect();
    let width = lines.iter().map(|line| line[0].chars().count()).max();
    let width = width.unwrap_or(0);
    let lines = lines
        .iter()
        .map(|line| format!("{:<width$}  {}\n", line[0], line[1]));
    lines.collect()
}

/// An answer on one line.
fn clipped(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = clean(&words.join(" "));
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
