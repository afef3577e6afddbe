//! `antiphon estimate`, and `antiphon run --dry-run`.

use std::time::Duration;

use antiphon::{
    catalog::Catalog,
    core::{Usd, account::estimate::Estimate},
    env, nearest_priced,
    run::{ModelEstimate, RunEstimate, RunOptions, TimeEstimate},
};
use anyhow::{Result, anyhow};
use clap::Args;

use super::{
    job::{config, refused},
    run::{input_of, options, send},
};
use crate::{
    Exit,
    args::{RunArgs, is_dash},
    printer::{Printer, clean},
    words,
};

const EXAMPLES: &str = "\
Examples:
  antiphon estimate batch.jsonl -m openai/gpt-4o-mini
  antiphon estimate rows.jsonl --prompt '{{ text }}' -m openai/gpt-4o-mini --rpm 500 --json
  antiphon estimate rows.jsonl -m openai/gpt-4o-mini -o out.jsonl --sample 50

It takes the options of `antiphon run` and tells what that run would come to. Without a sample
nobody knows how long answers are, and the ranges are wide. --sample N sends N rows for real; the
run that follows finds their answers in the state of OUTPUT and does not send them again. Rows that
an earlier run has answered are a sample, too.

Exit codes: 0 the estimate was made, 2 usage, configuration or input error; with --sample also
those of the run of the sample: 1 some rows failed, 3 stopped early, 130 interrupted.";

/// Arguments of `antiphon estimate`: those of the run that is estimated.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("sample", |arg| arg.help("Send N rows first, drawn at random, and judge the rest by them; their answers are kept for the run")))]
#[command(mut_arg("json", |json| json.help("Print the estimate as JSON")))]
pub(crate) struct EstimateArgs {
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) fn run(mut args: EstimateArgs, printer: &Printer) -> Result<Exit> {
    if args.run.sample.is_none() {
        return tell(&args.run, printer, false);
    }
    let run = &args.run;
    let has_output = run.output.as_ref().is_some_and(|output| !is_dash(output));
    let refuse = |message: &str, hint: &str| {
        printer.error(&anyhow!("{message}"));
        printer.hint(hint);
        Ok(Exit::Usage)
    };
    if !has_output && run.state.state.is_none() {
        return refuse(
            "--sample sends rows, and there is no place to keep their answers",
            "pass -o OUTPUT or --state DIR, the same as for the run that follows",
        );
    }
    if input_of(&run.input).reads_once() {
        return refuse(
            "--sample reads the input twice, which a pipe does not allow",
            "write it to a file first",
        );
    }
    // stdout is for the estimate, and --json is about that
    let json = std::mem::take(&mut args.run.talk.json);
    let exit = send(&args.run, printer, false)?;
    if matches!(exit, Exit::Usage | Exit::StoppedEarly | Exit::Interrupted) {
        return Ok(exit);
    }
    // what was answered is told by the state from here on: nothing is moved aside again
    let mut whole = args.run;
    whole.sample = None;
    whole.talk.json = json;
    whole.state.fresh = false;
    whole.talk.report = None;
    match tell(&whole, printer, true)? {
        Exit::Success => Ok(exit),
        other => Ok(other),
    }
}

/// Tells what a run would come to; `has_sampled`: whether a sample was sent just now.
pub(super) fn tell(args: &RunArgs, printer: &Printer, has_sampled: bool) -> Result<Exit> {
    let config = config(args.talk.config.as_deref())?;
    let options: RunOptions = options(args, &args.job())?;
    let catalog = config.catalog(args.target.catalog.as_deref());
    let estimate = match RunEstimate::new(options, config, &env::process) {
        Ok(estimate) => estimate,
        Err(error) => return Ok(refused(&error, printer)),
    };
    if args.talk.json {
        printer.json(&serde_json::to_value(&estimate)?)?;
        return Ok(Exit::Success);
    }
    printer.data(&clean(&table(&estimate)))?;
    if let Some(warning) = &estimate.warning {
        printer.say(warning);
    }
    if !args.talk.quiet {
        estimate.notes.iter().for_each(|note| printer.say(note));
        if args.talk.report.is_some() {
            printer.say("--report is written by a run: there is none");
        }
        if let Some(hint) = hint(&estimate, catalog.ok().as_deref(), has_sampled) {
            printer.hint(&hint);
        }
    }
    Ok(Exit::Success)
}

fn table(estimate: &RunEstimate) -> String {
    let mut lines = vec![("rows", rows(estimate))];
    if let Some(bad) = &estimate.first_bad_line {
        let bad_lines = words::several(estimate.bad, "bad line", "bad lines");
        lines.push(("", format!("{bad_lines}, the first: {bad}")));
    }
    if estimate.to_send > 0 {
        lines.push(("calls", calls(estimate)));
        lines.push(("input", input(estimate)));
        lines.push(("output", tokens(&estimate.output_tokens)));
        lines.push(("cost", cost(estimate)));
        lines.extend(in_all(estimate).map(|all| ("in all", all)));
        if let [_, _, ..] = estimate.models.as_slice() {
            lines.extend(estimate.models.iter().map(|model| ("", of_model(model))));
        }
        let impacts = estimate.energy_kwh.zip(estimate.gwp_kgco2eq);
        let impacts = impacts
            .map(|(energy, gwp)| format!("{}, {}", words::energy(energy), words::carbon(gwp)));
        lines.push(("energy", impacts.unwrap_or_else(|| "unknown".to_owned())));
        lines.push(("time", time(estimate.duration_s.as_ref())));
        lines.push(("judged by", judged_by(estimate)));
    } else if let Some(spent) = estimate.spent_usd.filter(|spent| *spent != Usd::ZERO) {
        lines.push((
            "cost",
            format!("{} so far, nothing more", dollars(spent.as_f64())),
        ));
    }
    let lines = lines
        .iter()
        .map(|(name, text)| format!("{name:<9}  {text}\n"));
    lines.collect()
}

fn rows(estimate: &RunEstimate) -> String {
    let mut parts = vec![format!("{} to send", words::count(estimate.to_send))];
    if estimate.done > 0 {
        parts.push(format!("{} done before", words::count(estimate.done)));
    }
    if estimate.bad > 0 {
        parts.push(words::several(estimate.bad, "bad line", "bad lines"));
    }
    format!("{}: {}", words::count(estimate.rows), parts.join(", "))
}

/// Models that are named with their calls.
const MOST_NAMED: usize = 4;

fn calls(estimate: &RunEstimate) -> String {
    let each = estimate.calls_by_model.iter();
    let each = each.map(|(model, calls)| format!("{} of {model}", words::count(*calls)));
    let mut named: Vec<String> = each.take(MOST_NAMED).collect();
    let others = estimate.calls_by_model.len() - named.len();
    if others > 0 {
        named.push(format!("and of {others} more"));
    }
    match named.as_slice() {
        [only] => only.clone(),
        several => format!("{}: {}", words::count(estimate.calls), several.join(", ")),
    }
}

fn input(estimate: &RunEstimate) -> String {
    let mut text = tokens(&estimate.input_tokens);
    if estimate.input_is_exact && estimate.input_tokens.low == estimate.input_tokens.high {
        text.push_str(", counted exactly");
    }
    if estimate.uncounted_parts > 0 {
        let parts = words::several(estimate.uncounted_parts, "part", "parts");
        text.push_str(&format!(
            ", without {parts} of unknown size (images, audio, files)"
        ));
    }
    text
}

fn tokens(estimate: &Estimate) -> String {
    let count = |tokens: f64| words::count(tokens.round() as u64);
    let unit = match count(estimate.high).as_str() {
        "1" => "token",
        _ => "tokens",
    };
    between(estimate, count, unit)
}

/// `about 120 tokens (90 to 160)`, or as much of it as there is to say.
fn between(estimate: &Estimate, show: impl Fn(f64) -> String, unit: &str) -> String {
    let (low, high) = (show(estimate.low), show(estimate.high));
    let unit = match unit {
        "" => String::new(),
        unit => format!(" {unit}"),
    };
    match estimate.likely.map(show) {
        _ if low == high => format!("{low}{unit}"),
        Some(likely) => format!("about {likely}{unit} ({low} to {high})"),
        None => format!("{low} to {high}{unit}"),
    }
}

/// Dollars: cents from one dollar on, below that three figures that say something, so that the ends of a range differ.
fn dollars(amount: f64) -> String {
    match amount {
        1.0.. => words::dollars_and_cents(amount),
        _ if amount <= 0.0 => "$0".to_owned(),
        _ => {
            let zeros = (-amount.log10()).floor().clamp(0.0, 10.0) as usize;
            format!("${amount:.places$}", places = zeros + 3)
        }
    }
}

fn cost(estimate: &RunEstimate) -> String {
    let Some(cost) = &estimate.cost_usd else {
        let unpriced = estimate.models.iter().flat_map(|model| &model.unpriced);
        let mut names: Vec<&str> = unpriced.map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        return match names.is_empty() {
            true => "unknown".to_owned(),
            false => format!("unknown: no price is known of {}", names.join(", ")),
        };
    };
    between(cost, dollars, "")
}

/// What the job will have cost, where a part of that is spent.
fn in_all(estimate: &RunEstimate) -> Option<String> {
    let spent = estimate.spent_usd.filter(|spent| *spent != Usd::ZERO)?;
    let all = between(estimate.job_cost_usd.as_ref()?, dollars, "");
    Some(format!(
        "{all}, of which {} is spent",
        dollars(spent.as_f64())
    ))
}

fn of_model(model: &ModelEstimate) -> String {
    let cost = match &model.cost_usd {
        Some(cost) => between(cost, dollars, ""),
        None => "cost unknown".to_owned(),
    };
    let rows = words::rows(model.to_send);
    format!("{}: {rows}, {cost}", model.model)
}

fn time(time: Option<&TimeEstimate>) -> String {
    let Some(time) = time else {
        return "unknown: no limit slows it, and no answer was timed yet".to_owned();
    };
    let show = |seconds: f64| {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        words::duration(time.max(Duration::from_millis(1)))
    };
    let low = show(time.low);
    let text = match time.high.map(show) {
        Some(high) if high == low => format!("about {low}"),
        Some(high) => format!("{low} to {high}"),
        None => format!("at least {low}"),
    };
    match time.bound_by {
        "latency" => format!("{text}, by the latency of answers so far"),
        limit => format!("{text}, by --{limit}"),
    }
}

fn judged_by(estimate: &RunEstimate) -> String {
    let no_sample = "answers are taken to have 5 to 4,000 tokens in the mean, or their cap";
    match (estimate.judged_by, estimate.done) {
        (0, 0) => format!("nothing yet: {no_sample}"),
        (0, _) => format!("too few rows that are done, ten are needed: {no_sample}"),
        (rows, _) => format!(
            "{} that are done; ranges like these hold for nine jobs in ten",
            words::rows(rows)
        ),
    }
}

/// Rows to send from which on a sample of 50 is a small part of them.
const WORTH_A_SAMPLE: u64 = 100;

/// How to know more.
fn hint(estimate: &RunEstimate, catalog: Option<&Catalog>, has_sampled: bool) -> Option<String> {
    if estimate.cost_usd.is_none() && estimate.to_send > 0 {
        let name = estimate
            .models
            .iter()
            .find_map(|model| model.unpriced.first());
        let name = name.map_or("provider/model", String::as_str);
        let near = catalog.and_then(|catalog| nearest_priced(catalog, name));
        let meant = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
        return Some(format!(
            "{meant}give a price in antiphon.toml: [prices.{name:?}] with input and output in dollars per million tokens"
        ));
    }
    let is_wide = estimate.judged_by == 0 && estimate.to_send >= WORTH_A_SAMPLE && !has_sampled;
    let costs = estimate.cost_usd.is_some_and(|cost| cost.high > cost.low);
    (is_wide && costs).then(|| {
        "`antiphon estimate … -o OUTPUT --sample 50` sends 50 rows, which the run need not send again, and narrows this".to_owned()
    })
}
