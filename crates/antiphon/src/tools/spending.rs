//! What every result tells beside its answers: what the calls took, and what failed.

use antiphon_core::{
    Error, Reply, Spent, Usage, account::Range, chat::MemberError, patterns::Expense,
};
use antiphon_store::FailedRow;
use schemars::JsonSchema;
use serde::Serialize;

use super::wording;
use crate::Usd;

/// What the calls behind a result took. The names are those of the command line's `--json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Spending {
    /// Calls of models that were made, failed ones included.
    calls: u64,
    /// How often a model was really asked for them: a call that fails, or whose answer does not have the form that was
    /// asked for, may be made again.
    attempts: u64,
    /// Tokens; null where no answer told them, which the answers of a client's own model never do.
    usage: Option<Tokens>,
    /// Cost in US dollars; null where that of any answer is not known. Never 0 for unknown.
    #[schemars(with = "Option<f64>")]
    cost_usd: Option<Usd>,
    /// Estimated energy of computing the answers, kWh, from least to most; null where that of any is not known.
    energy_kwh: Option<Span>,
    /// Estimated greenhouse gases of the same, kg of CO2 equivalent; null where unknown.
    gwp_kgco2eq: Option<Span>,
}

impl Spending {
    pub(super) fn new(took: &Expense) -> Self {
        let Expense {
            calls,
            attempts,
            spent,
        } = took;
        let impacts = spent.impacts();
        Self {
            calls: *calls,
            attempts: *attempts,
            usage: spent.usage().map(Tokens::from),
            cost_usd: spent.cost(),
            energy_kwh: impacts.map(|impacts| impacts.energy_kwh.into()),
            gwp_kgco2eq: impacts.map(|impacts| impacts.gwp_kgco2eq.into()),
        }
    }

    /// Of one answer: the calls that its model made of it are told, where it is made of several.
    pub(super) fn of(reply: &Reply) -> Self {
        let members = reply.members().iter();
        let cancelled = |error: &MemberError| error.is_cancelled();
        let asked = members.filter(|member| !member.error.as_ref().is_some_and(cancelled));
        let decider = reply
            .decision()
            .and_then(|decision| decision.decider.as_ref());
        let calls = asked.count() as u64 + u64::from(decider.is_some());
        Self::new(&Expense {
            calls: calls.max(1),
            attempts: reply.head.attempts.into(),
            spent: reply.spent(),
        })
    }
}

/// What several parts took together.
pub(super) fn sum(parts: impl IntoIterator<Item = Expense>) -> Expense {
    let mut all = Expense::default();
    parts.into_iter().for_each(|part| all += part);
    all
}

/// What all runs of a job have used so far. The names are those of its report, where what is not known is counted beside the
/// sum of what is.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct JobSpending {
    /// Tokens of all runs of the job, of the answers that told them; null where none did.
    usage: Option<Tokens>,
    /// Cost of all runs in US dollars, of the answers whose price is known; null where that is of none. Never 0 for unknown.
    #[schemars(with = "Option<f64>")]
    cost_usd: Option<Usd>,
    /// Answers whose cost is not known: they are not in cost_usd.
    unpriced_answers: u64,
    /// Attempts that were sent and whose end is not known: they may have been billed, and are not in cost_usd.
    lost_attempts: u64,
    /// Estimated energy of computing the answers, kWh, of those for which it can be told; null where it can for none.
    energy_kwh: Option<Span>,
    /// Estimated greenhouse gases of the same, kg of CO2 equivalent; null where unknown.
    gwp_kgco2eq: Option<Span>,
}

impl From<Spent> for JobSpending {
    fn from(spent: Spent) -> Self {
        // before the first answer there is nothing to tell
        let is_any = spent.answers() > 0;
        let impacts = spent.known_impacts().filter(|_| is_any);
        Self {
            usage: spent.usage().map(Tokens::from),
            cost_usd: spent.known_cost().filter(|_| is_any),
            unpriced_answers: spent.unpriced(),
            lost_attempts: spent.lost_attempts(),
            energy_kwh: impacts.map(|impacts| impacts.energy_kwh.into()),
            gwp_kgco2eq: impacts.map(|impacts| impacts.gwp_kgco2eq.into()),
        }
    }
}

/// Tokens.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Tokens {
    /// Read, cached ones included.
    input_tokens: u64,
    /// Written, reasoning included.
    output_tokens: u64,
    /// Of the input: read from the provider's cache.
    cached_input_tokens: u64,
    /// Of the output: thought, not shown.
    reasoning_tokens: u64,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            reasoning_tokens: usage.reasoning_tokens,
        }
    }
}

/// From the least to the most it may be.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Span {
    min: f64,
    max: f64,
}

impl From<Range> for Span {
    fn from(Range { min, max }: Range) -> Self {
        Self { min, max }
    }
}

/// Why a part of a result is missing.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Failure {
    /// One word: `timeout`, `refused` (by the model), `rejected` (by the user), `context_length`, `off_schema`, …
    code: String,
    /// What happened.
    message: String,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        MemberError::from(error).into()
    }
}

impl From<MemberError> for Failure {
    fn from(MemberError { code, message }: MemberError) -> Self {
        Self { code, message }
    }
}

/// A row of a job that failed, as its line in the output tells it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RowFailure {
    /// The row's custom_id, or row-N.
    custom_id: String,
    /// Why it has no answer.
    error: Failure,
}

impl From<&FailedRow> for RowFailure {
    fn from(row: &FailedRow) -> Self {
        Self {
            custom_id: row.custom_id.clone(),
            error: Failure {
                code: row.kind.code().to_owned(),
                message: wording::of_tool(&row.message),
            },
        }
    }
}

/// Causes that a message tells, and documents that it names with each.
const MOST_TOLD: usize = 5;

/// The error of a call of which nothing came out: why, of each document, and what they took. What several have in common is
/// said once.
pub(super) fn nothing_came_out<'a>(
    failures: impl IntoIterator<Item = (&'a str, &'a Error)>,
    took: &Expense,
) -> Error {
    let mut causes: Vec<(&Error, Vec<&str>)> = Vec::new();
    for (id, error) in failures {
        let alike =
            |known: &Error| (known.kind(), known.message()) == (error.kind(), error.message());
        match causes.iter_mut().find(|(known, _)| alike(known)) {
            Some((_, ids)) => ids.push(id),
            None => causes.push((error, vec![id])),
        }
    }
    let Some((first, _)) = causes.first() else {
        return Error::stopped("nothing was asked");
    };
    let number: usize = causes.iter().map(|(_, ids)| ids.len()).sum();
    let why = match causes.as_slice() {
        [(only, _)] => only.message().to_owned(),
        causes => {
            let cause = |(error, ids): &(&Error, Vec<&str>)| {
                let ids = listed(ids.iter().copied(), ", ");
                format!("{ids}: {}: {error}", error.kind())
            };
            listed(causes.iter().map(cause), "; ")
        }
    };
    let message = match number {
        1 => why,
        number => format!("all {number} documents failed: {why}"),
    };
    Error::new(first.kind(), message).with_spent(took.spent)
}

/// The error of a whole call, with what was paid for it all the same, where anything is known of that.
pub(super) fn with_cost(error: Error) -> Error {
    let spent = error.spent();
    let Some(usage) = spent.usage() else {
        return error;
    };
    let cost = match spent.known_cost() {
        Some(cost) if spent.unpriced() > 0 => format!("at least {cost} US dollars"),
        Some(cost) => format!("{cost} US dollars"),
        None => "at a cost that is not known".to_owned(),
    };
    let (read, written) = (usage.input_tokens, usage.output_tokens);
    let message = format!(
        "{}; it took {read} tokens that were read and {written} that were written, {cost}",
        error.message()
    );
    Error::new(error.kind(), message).with_spent(spent)
}

/// The first few, and how many more there are.
fn listed<T: Into<String>>(all: impl ExactSizeIterator<Item = T>, between: &str) -> String {
    let more = all.len().saturating_sub(MOST_TOLD);
    let mut told: Vec<String> = all.take(MOST_TOLD).map(Into::into).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told.join(between)
}

#[cfg(test)]
mod tests {
    use antiphon_core::{ErrorKind, Spent};
    use serde_json::{Value, json};

    use super::*;

    fn told(spent: Spent) -> Value {
        let took = Expense {
            calls: 2,
            attempts: 3,
            spent,
        };
        serde_json::to_value(Spending::new(&took)).unwrap()
    }

    #[test]
    fn what_is_unknown_is_null_and_never_zero() {
        let nulls = json!({"calls": 2, "attempts": 3, "usage": null, "cost_usd": null, "energy_kwh": null, "gwp_kgco2eq": null});
        assert_eq!(told(Spent::answer(None)), nulls);
        assert_eq!(told(Spent::lost()), nulls);
        let usage = Usage {
            input_tokens: 3,
            output_tokens: 4,
            ..Usage::default()
        };
        let known = told(Spent::answer(Some(usage)).priced(Some(Usd::from_picos(7_200_000))));
        assert_eq!(known["cost_usd"], json!(0.0000072));
        assert_eq!(known["usage"]["output_tokens"], 4);
        assert_eq!(known["energy_kwh"], Value::Null);
    }

    #[test]
    fn what_a_job_used_is_told_beside_what_is_not_known_of_it() {
        let told = |spent: Spent| serde_json::to_value(JobSpending::from(spent)).unwrap();
        for (nothing, [unpriced, lost]) in [
            (Spent::default(), [0, 0]),
            (Spent::answer(None), [1, 0]),
            (Spent::lost(), [0, 1]),
        ] {
            let nulls = json!({
                "usage": null, "cost_usd": null, "unpriced_answers": unpriced, "lost_attempts": lost, "energy_kwh": null,
                "gwp_kgco2eq": null,
            });
            assert_eq!(told(nothing), nulls);
        }
        let usage = Some(Usage::default());
        let priced = Spent::answer(usage).priced(Some(Usd::from_picos(7_200_000)));
        let both = told(priced + Spent::answer(None));
        assert_eq!(both["cost_usd"], json!(0.0000072));
        assert_eq!(both["unpriced_answers"], 1);
    }

    #[test]
    fn an_error_tells_what_was_paid_all_the_same() {
        let error = Error::new(ErrorKind::OffSchema, "it does not fit");
        let told = |spent| {
            with_cost(error.clone().with_spent(spent))
                .message()
                .to_owned()
        };
        assert_eq!(told(Spent::default()), "it does not fit");
        assert_eq!(told(Spent::answer(None)), "it does not fit");
        let usage = Usage {
            input_tokens: 30,
            output_tokens: 4,
            ..Usage::default()
        };
        let answer = Spent::answer(Some(usage));
        let took = "it does not fit; it took 30 tokens that were read and 4 that were written";
        assert_eq!(told(answer), format!("{took}, at a cost that is not known"));
        let priced = answer.priced(Some(Usd::from_picos(7_200_000)));
        assert_eq!(told(priced), format!("{took}, 0.0000072 US dollars"));
        let both = told(priced + Spent::answer(None));
        assert_eq!(both, format!("{took}, at least 0.0000072 US dollars"));
    }

    #[test]
    fn failures_with_one_cause_are_told_once() {
        let timeout = Error::new(ErrorKind::Timeout, "too slow");
        let broken = Error::new(ErrorKind::Connection, "it broke");
        let told = |failures: &[(&str, &Error)]| {
            let error = nothing_came_out(failures.iter().copied(), &Expense::default());
            (error.kind(), error.message().to_owned())
        };
        assert_eq!(
            told(&[("a", &timeout), ("b", &timeout)]),
            (
                ErrorKind::Timeout,
                "all 2 documents failed: too slow".to_owned()
            )
        );
        assert_eq!(told(&[("a", &timeout)]).1, "too slow");
        assert_eq!(
            told(&[("a", &timeout), ("b", &broken)]).1,
            "all 2 documents failed: a: timeout: too slow; b: connection: it broke"
        );
        let ids = ["a", "c", "d", "e", "f", "g"];
        let mut many = ids.map(|id| (id, &timeout)).to_vec();
        many.push(("b", &broken));
        assert_eq!(
            told(&many).1,
            "all 7 documents failed: a, c, d, e, f, and 1 more: timeout: too slow; b: connection: it broke"
        );
    }
}
