//! What is said when a run is over: what became of the rows, what it took, and what to do next.

use std::{error::Error as _, ffi::OsString, time::Duration};

use antiphon::{
    core::{Usd, job::StopReason, layers::spend::TooSmall},
    run::{Report, RunEnd},
};

use crate::{args::is_dash, commands::job::Job, job_args::SharingArgs, printer::Printer, words};

/// What stopped the run.
pub(crate) fn why_stopped(reason: &StopReason) -> String {
    match reason {
        StopReason::Interrupted => "interrupted".to_owned(),
        StopReason::Account(error) | StopReason::Budget(error) => format!("stopped: {error}"),
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
pub(crate) fn say(end: &RunEnd, job: &Job<'_>, printer: &Printer) {
    let report = &end.report;
    end.notes.iter().for_each(|note| printer.say(note));
    if end.stopped.is_none() && end.progress.is_exact && report.total == 0 {
        printer.say("the input has no rows");
    }
    let mut line = format!(
        "{}: {} succeeded",
        rows_of_input(end),
        words::count(report.succeeded)
    );
    let finished = &end.progress.finished;
    let special: Vec<String> = [
        (finished.cut_off, "cut off at their length limit"),
        (finished.refused, "refused by the model"),
        (
            finished.undecided,
            "with the first answer, as the decision failed",
        ),
        (finished.rescued, "with the rescue text"),
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
    line.push_str(&at_hand(end, &job.args.sharing));
    printer.say(&line);
    printer.say(&what_it_took(report));
    if let Some(bad) = &end.progress.first_bad_line {
        let word = job.rows.trim_end_matches('s');
        printer.say(&format!("the first bad {word}: {bad}"));
    }
    if let Some(hint) = unused_budget(end) {
        printer.say(&hint);
    }
    if let Some(next) = next_command(end, job) {
        printer.say(&next);
    }
}

/// Time, retries, tokens and cost.
pub(crate) fn what_it_took(report: &Report) -> String {
    let retries: u64 = report.retries_by_kind.values().sum();
    let mut took = vec![words::duration(Duration::from_secs_f64(report.duration_s))];
    if retries > 0 {
        took.push(format!(
            "{} ({})",
            words::several(retries, "retry", "retries"),
            words::tally(&report.retries_by_kind)
        ));
    } else {
        took.push("no retries".to_owned());
    }
    took.push(words::tokens(&report.usage));
    took.push(cost(report));
    took.extend(energy(report));
    took.join(" · ")
}

/// Money of this run, with what is not known of it, and of the whole job where other runs have paid for it too.
fn cost(report: &Report) -> String {
    let mut said = report
        .cost_usd
        .map_or("cost unknown".to_owned(), words::dollars);
    let mut beside = Vec::new();
    if report.cost_usd.is_some() && report.unpriced_answers > 0 {
        let answers = words::several(report.unpriced_answers, "answer", "answers");
        beside.push(format!("{answers} of unknown cost"));
    }
    if report.lost_attempts > 0 {
        let attempts = words::several(report.lost_attempts, "attempt", "attempts");
        beside.push(format!("{attempts} without an end may have been billed"));
    }
    if let Some(job) = report
        .job_cost_usd
        .filter(|job| Some(*job) != report.cost_usd)
    {
        beside.push(format!("{} with earlier runs", words::dollars(job)));
    }
    if !beside.is_empty() {
        said.push_str(&format!(" ({})", beside.join(", ")));
    }
    said
}

/// Energy and carbon, as far as they can be estimated.
fn energy(report: &Report) -> Option<String> {
    let (kwh, kg) = report.energy_kwh.zip(report.gwp_kgco2eq)?;
    let mut said = words::taken(kwh, kg)?;
    if report.unestimated_answers > 0 {
        let answers = words::several(report.unestimated_answers, "answer", "answers");
        said.push_str(&format!(" ({answers} not estimated)"));
    }
    Some(said)
}

/// Rows that cost nothing, where they came from, and what that has saved.
fn at_hand(end: &RunEnd, args: &SharingArgs) -> String {
    let rows = end.report.cached;
    if rows == 0 {
        return String::new();
    }
    let from = match (args.cache && !args.no_cache, args.coalesce) {
        (true, false) => "from the cache",
        (true, true) => "from the cache or the call of an equal row",
        (false, _) => "by the call of an equal row",
    };
    let mut said = format!(", {} {from}", words::count(rows));
    // an answer may come without a count of its tokens: then nothing is claimed
    let avoided = end.progress.finished.avoided;
    let tokens = avoided.usage().unwrap_or_default().total();
    if tokens > 0 {
        let tokens = words::several(tokens, "token", "tokens");
        let money = match avoided.cost().filter(|cost| *cost != Usd::ZERO) {
            Some(cost) => format!(", {}", words::dollars(cost)),
            None => String::new(),
        };
        said.push_str(&format!(" ({tokens}{money} not paid for)"));
    }
    said
}

/// What is to be done where much of a budget is left that no attempt fits any more.
fn unused_budget(end: &RunEnd) -> Option<String> {
    let Some(StopReason::Budget(_)) = end.stopped else {
        return None;
    };
    let (budget, left) = (end.report.budget_usd?, end.report.budget_left_usd?);
    (left.times(20) > budget).then(|| {
        format!(
            "{} of the budget is left, less than an attempt may cost: a lower --max-output-tokens makes each hold less",
            words::dollars(left)
        )
    })
}

/// The exact command that goes on from here, or where the answers are.
fn next_command(end: &RunEnd, job: &Job<'_>) -> Option<String> {
    let output = job.output.filter(|output| !is_dash(output));
    let transient = end
        .progress
        .finished
        .errors
        .keys()
        .any(|kind| kind.is_transient());
    if output.is_none() && job.args.state.state.is_none() {
        let unfinished = end.stopped.is_some() || end.report.failed > 0;
        return unfinished.then(|| {
            "without -o or --state nothing is kept; pass one to be able to go on".to_owned()
        });
    }
    if end.stopped.is_some() || transient {
        return Some(to_go_on(
            end.stopped.as_ref(),
            job.args.spend.budget,
            &end.report,
        ));
    }
    let mut failed = end.progress.finished.errors.keys();
    if end.report.failed > 0 && failed.all(|kind| kind.is_of_the_line()) {
        let input = match job.inputs {
            [file] if !is_dash(file) => file.to_string_lossy(),
            _ => "the input".into(),
        };
        return Some(format!(
            "mend the bad {} of {input}, then: {}",
            job.rows,
            this_command(None)
        ));
    }
    if end.report.failed > 0 {
        let extra = (!job.args.rows.retry_failed).then_some("--retry-failed");
        return Some(format!(
            "to send failed rows again: {}",
            this_command(extra)
        ));
    }
    Some(format!("answers: {}", output?.display()))
}

/// The command that goes on after a stop; where the budget was reached, with twice as much, or as much as it takes.
pub(crate) fn to_go_on(
    stopped: Option<&StopReason>,
    budget: Option<Usd>,
    report: &Report,
) -> String {
    match (stopped, budget) {
        (Some(StopReason::Budget(error)), Some(budget)) => {
            let costs = [report.job_cost_usd, report.budget_held_usd];
            let gone: Usd = costs.into_iter().flatten().sum();
            let too_small = error.source().and_then(|source| source.downcast_ref());
            let least = too_small.map_or(Usd::ZERO, |TooSmall { least }| least.rounded_up());
            let enough = budget.max(gone).times(2).max(least);
            let command = with_budget(words_of_this_command(), enough);
            format!("to go on with a higher budget: {}", shell_line(&command))
        }
        _ => format!("to go on: {}", this_command(None)),
    }
}

/// The command as it was typed, quoted for a shell. `--fresh` is left out: it would begin anew.
pub(crate) fn this_command(extra: Option<&str>) -> String {
    let mut words = words_of_this_command();
    words.extend(extra.map(OsString::from));
    shell_line(&words)
}

fn words_of_this_command() -> Vec<OsString> {
    std::env::args_os()
        .filter(|word| word != "--fresh")
        .collect()
}

/// The command with another `--budget`, whichever way it was written.
fn with_budget(words: Vec<OsString>, budget: Usd) -> Vec<OsString> {
    let mut words = words.into_iter();
    let mut changed = Vec::new();
    while let Some(word) = words.next() {
        let is_attached = word.as_encoded_bytes().starts_with(b"--budget=");
        match is_attached {
            true => changed.push(format!("--budget={budget}").into()),
            false if word == "--budget" => {
                changed.push(word);
                changed.extend(words.next().map(|_| OsString::from(budget.to_string())));
            }
            false => changed.push(word),
        }
    }
    changed
}

fn shell_line(words: &[OsString]) -> String {
    let words = words.iter().map(|word| word.as_encoded_bytes());
    match shlex::bytes::try_join(words) {
        Ok(line) => String::from_utf8_lossy(&line).into_owned(),
        // no command line holds a zero byte
        Err(_) => "the same command".to_owned(),
    }
}

/// The rows of the input, as well as they are known after a run that stopped early.
fn rows_of_input(end: &RunEnd) -> String {
    let rows = words::rows(end.report.total);
    match end.progress.expected {
        _ if end.progress.is_exact => rows,
        Some(_) => format!("about {rows}"),
        None => format!("{rows} read so far"),
    }
}
