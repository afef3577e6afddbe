//! The budget of a job: where it goes on from, and what it leaves for the next run.

use std::sync::Arc;

use antiphon_core::{Spent, Usd};
use antiphon_store::SqliteLedger;

use super::{RunError, plan::ledger_error};
use crate::{numbers::dollars, session::Session};

/// Counts what earlier runs have spent, or may have, against the budget of this one.
pub(super) fn begin(
    session: &Session,
    ledger: &SqliteLedger,
    earlier_runs: Spent,
    notes: &mut Vec<String>,
) -> Result<(), RunError> {
    let known = earlier_runs.known_cost().unwrap_or_default();
    // also without a budget: a later run with one adds what this run costs
    let most = ledger.most_spent(known).map_err(ledger_error)?;
    let Some(budget) = session.budget() else {
        return Ok(());
    };
    let held = most.less(known);
    budget.go_on_from(known, held, Some(Arc::new(ledger.vault())));
    if held > Usd::ZERO {
        notes.push(format!(
            "{} of the budget is kept for attempts of earlier runs: how they ended is not known, and they may be billed",
            dollars(held)
        ));
    }
    if earlier_runs.unpriced() > 0 {
        notes.push(
            "what some answers of earlier runs have cost is not known; the budget does not count it"
                .to_owned(),
        );
    }
    Ok(())
}

/// Writes down what was really used. Where that fails, the next run goes on from the most that it may have been.
pub(super) async fn end(session: &Session) -> Option<String> {
    let closed = session.budget()?.close().await;
    let error = closed.err()?;
    Some(format!(
        "what is left of the budget could not be noted: {error}"
    ))
}
