//! What a run would cost and how long it would take. Nothing is sent and nothing is written.
//!
//! All of the input is read: every row becomes the calls that a run would make, and those that an earlier run has answered are
//! found as a run would find them. From these the rest is judged (`antiphon_core::account::estimate`); where there are too few,
//! there are only bounds.

mod foreseen;
mod group;
mod impacts;
mod time;
mod walk;

use std::collections::BTreeMap;

use antiphon_core::{
    Usd,
    account::{Range, estimate::Estimate},
};
use serde::Serialize;

use super::{
    RunError, RunOptions,
    check::{self, Checked},
};
use crate::{Config, env::Lookup};
use group::{Group, Rest};
pub use time::TimeEstimate;
use walk::Walked;

/// What a run would cost and how long it would take. What is unknown is `null`, never 0.
#[derive(Clone, Debug, Serialize)]
pub struct RunEstimate {
    /// Rows of the input, or of the sample of it that would be run.
    pub rows: u64,
    /// Rows that have an outcome from an earlier run, and would not be sent.
    pub done: u64,
    /// Rows that would become an error line without a call.
    pub bad: u64,
    /// Rows that would be sent.
    pub to_send: u64,
    /// Calls of those rows, where none is made again.
    pub calls: u64,
    /// The same by the model that is called, provider/model: an ensemble calls several.
    pub calls_by_model: BTreeMap<String, u64>,
    /// Finished rows by which the rest is judged; 0 where there are bounds only.
    pub judged_by: u64,
    /// Input tokens of the rows to send.
    pub input_tokens: Estimate,
    /// Whether they are counted as the provider will count them, but for calls that are made again.
    pub input_is_exact: bool,
    /// Parts of requests whose tokens nobody can tell beforehand (images, audio, files); they are in no number here.
    pub uncounted_parts: u64,
    /// Output tokens of the rows to send.
    pub output_tokens: Estimate,
    /// What the rows to send would cost, dollars; `null` where a price is not known.
    pub cost_usd: Option<Estimate>,
    /// What earlier runs have cost.
    pub spent_usd: Option<Usd>,
    /// What the job will have cost in the end.
    pub job_cost_usd: Option<Estimate>,
    /// Energy of the rows to send, kWh.
    pub energy_kwh: Option<Range>,
    /// Greenhouse gases of the rows to send, kg of CO2 equivalent.
    pub gwp_kgco2eq: Option<Range>,
    /// Time of the run; `null` where no limit slows it and no answer was timed.
    pub duration_s: Option<TimeEstimate>,
    /// The same by model.
    pub models: Vec<ModelEstimate>,
    /// What is wrong with the first bad line.
    pub first_bad_line: Option<String>,
    /// That the run will stop before its end, as its budget is less than it costs.
    pub warning: Option<String>,
    /// What should be known beside the numbers.
    pub notes: Vec<String>,
}

/// What the rows of one model would cost.
#[derive(Clone, Debug, Serialize)]
pub struct ModelEstimate {
    /// The model, as rows or flags name it.
    pub model: String,
    /// Rows that would be sent to it.
    pub to_send: u64,
    /// Calls of those rows.
    pub calls: u64,
    /// Finished rows by which they are judged; 0 where there are bounds only.
    pub judged_by: u64,
    /// Their input tokens.
    pub input_tokens: Estimate,
    /// Their output tokens.
    pub output_tokens: Estimate,
    /// Their cost, dollars; `null` where a price is not known.
    pub cost_usd: Option<Estimate>,
    /// Models of these calls without a known price.
    pub unpriced: Vec<String>,
}

impl RunEstimate {
    /// Checks all that a run checks, reads all of the input, and tells what a run would come to. Blocking.
    ///
    /// # Errors
    /// [`RunError`], as a run would give it. A key that is missing is none: it is one of the notes.
    pub fn new(mut options: RunOptions, config: Config, env: Lookup<'_>) -> Result<Self, RunError> {
        options.session.is_dry = true;
        let mut checked = check::check(options, config, env)?;
        let walked = walk::walk(&mut checked)?;
        Ok(Self::of(&walked, &checked))
    }

    fn of(walked: &Walked, checked: &Checked) -> Self {
        let groups: Vec<(&Group, Rest)> = walked
            .groups
            .values()
            .filter(|group| group.rows > 0)
            .map(|group| (group, group.rest()))
            .collect();
        let nothing = Estimate::exactly(0.0);
        let sum = |of: fn(&Rest) -> Estimate| {
            let each = groups.iter().map(|(_, rest)| of(rest));
            each.fold(nothing, Estimate::and)
        };
        let mut costs = groups.iter().map(|(_, rest)| rest.cost);
        let cost = costs.try_fold(nothing, |sum, cost| Some(sum.and(cost?)));
        let spent = walked.spent.cost();
        let range = |of: fn(&Rest) -> Option<Range>| {
            let mut each = groups.iter().map(|(_, rest)| of(rest));
            each.try_fold(Range::default(), |sum, range| Some(sum + range?))
        };
        let number = |of: fn(&Group) -> u64| groups.iter().map(|(group, _)| of(group)).sum();
        let job_cost = cost
            .zip(spent)
            .map(|(cost, spent)| cost.and(Estimate::exactly(spent.as_f64())));
        let budget = checked.options.session.budget;
        let (warning, note) = match job_cost.zip(budget) {
            Some((cost, budget)) => against_budget(&cost, budget),
            None => (None, None),
        };
        let mut notes = notes(walked, checked);
        notes.extend(note);
        let models = walked.groups.iter().filter(|(_, group)| group.rows > 0);
        Self {
            rows: walked.rows,
            done: walked.done,
            bad: walked.bad,
            to_send: number(|group| group.rows),
            calls: number(Group::calls),
            calls_by_model: calls_by_model(&groups),
            judged_by: number(Group::judged),
            input_tokens: sum(|rest| rest.input),
            input_is_exact: groups.iter().all(|(group, _)| group.guessed == 0),
            uncounted_parts: number(|group| group.unknown_parts),
            output_tokens: sum(|rest| rest.output),
            cost_usd: cost,
            spent_usd: spent,
            job_cost_usd: job_cost,
            energy_kwh: range(|rest| rest.energy_kwh),
            gwp_kgco2eq: range(|rest| rest.gwp_kgco2eq),
            duration_s: time::of(&groups),
            models: models.zip(&groups).map(ModelEstimate::of).collect(),
            first_bad_line: walked.first_bad_line.clone(),
            warning,
            notes,
        }
    }
}

impl ModelEstimate {
    fn of(((model, group), (_, rest)): ((&String, &Group), &(&Group, Rest))) -> Self {
        Self {
            model: model.clone(),
            to_send: group.rows,
            calls: group.calls(),
            judged_by: group.judged(),
            input_tokens: rest.input,
            output_tokens: rest.output,
            cost_usd: rest.cost,
            unpriced: group.unpriced_models(),
        }
    }
}

/// Whether the job's budget will do: a warning where it will not, a note where it may not.
fn against_budget(cost: &Estimate, budget: Usd) -> (Option<String>, Option<String>) {
    let most = budget.as_f64();
    let less = (cost.low > most)
        .then(|| format!("the run stops before its end: --budget {budget} is less than it costs"));
    let unsure = (cost.low <= most && cost.high > most)
        .then(|| format!("--budget {budget} may stop the run before its end"));
    (less, unsure)
}

fn calls_by_model(groups: &[(&Group, Rest)]) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for (group, _) in groups {
        for (target, _, number) in group.shares() {
            *calls.entry(target.name.clone()).or_default() += number;
        }
    }
    calls
}

fn notes(walked: &Walked, checked: &Checked) -> Vec<String> {
    let mut notes = walked.notes.clone();
    notes.extend(checked.session.missing_keys());
    notes.extend(checked.session.retirement_notes());
    let overridden = checked.lines.overridden();
    notes.extend(
        overridden
            .iter()
            .map(|flag| format!("{flag} took the place of what lines of the input say")),
    );
    if checked.options.cache_dir.is_some() {
        notes.push(
            "answers in the cache are not looked for; what they save is not counted".to_owned(),
        );
    }
    if checked.options.session.coalesce {
        notes.push("equal rows that share a call are counted as calls of their own".to_owned());
    }
    if walked.spent.lost_attempts() > 0 {
        let lost = walked.spent.lost_attempts();
        notes.push(format!(
            "{lost} attempts of earlier runs may have been billed; they are not counted"
        ));
    }
    notes
}
