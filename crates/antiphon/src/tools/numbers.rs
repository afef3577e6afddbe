//! What the tools of jobs tell alike: what was used, and which rows failed.

use antiphon_core::{Spent, account::Range};
use antiphon_store::FailedRow;
use schemars::JsonSchema;
use serde::Serialize;

use super::wording;

/// What all runs of a job have used so far. What is not known is null, never 0.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(super) struct Used {
    /// Tokens that were read, of the answers that tell them; null where none does.
    input_tokens: Option<u64>,
    /// Tokens that were written, likewise.
    output_tokens: Option<u64>,
    /// Dollars, of the answers whose price is known; null where that is of none.
    cost_usd: Option<f64>,
    /// Answers whose cost is not known: they are not in cost_usd.
    unpriced_answers: u64,
    /// Energy, kWh, of the answers of models for which it can be estimated; null where it can for none.
    energy_kwh: Option<Span>,
    /// Greenhouse gases, kg of CO2 equivalent, likewise.
    gwp_kgco2eq: Option<Span>,
}

/// A value that is known to lie between two.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct Span {
    /// At least.
    min: f64,
    /// At most.
    max: f64,
}

impl From<Range> for Span {
    fn from(range: Range) -> Self {
        Self {
            min: range.min,
            max: range.max,
        }
    }
}

impl From<Spent> for Used {
    fn from(spent: Spent) -> Self {
        let tokens = spent.usage();
        // of an attempt whose end nobody knows, nothing is known either
        let any = spent.answers() > 0;
        let impacts = spent.known_impacts().filter(|_| any);
        Self {
            input_tokens: tokens.map(|tokens| tokens.input_tokens),
            output_tokens: tokens.map(|tokens| tokens.output_tokens),
            cost_usd: spent.known_cost().filter(|_| any).map(|cost| cost.as_f64()),
            unpriced_answers: spent.unpriced(),
            energy_kwh: impacts.map(|impacts| impacts.energy_kwh.into()),
            gwp_kgco2eq: impacts.map(|impacts| impacts.gwp_kgco2eq.into()),
        }
    }
}

/// A row that failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Failure {
    /// The row's custom_id, or row-N.
    custom_id: String,
    /// The kind of error: rejected, timeout, bad_request, …
    code: String,
    /// What went wrong.
    message: String,
}

impl From<&FailedRow> for Failure {
    fn from(row: &FailedRow) -> Self {
        Self {
            custom_id: row.custom_id.clone(),
            code: row.kind.code().to_owned(),
            message: wording::of_tool(&row.message),
        }
    }
}
