//! The budget of a map-reduce: where it goes on from, and what it leaves for the next run.

use std::sync::Arc;

use antiphon_core::Usd;
use antiphon_store::BudgetFile;

use crate::{
    run::{RunError, plan::ledger_error},
    session::Session,
};

/// Counts what earlier runs may have spent against the budget of this one.
pub(super) fn begin(session: &Session, file: &BudgetFile) -> Result<(), RunError> {
    if let Some(budget) = session.budget() {
        let most = file.most_spent().map_err(ledger_error)?;
        // how much of it is known to be spent is not
        budget.go_on_from(most, Usd::ZERO, Some(Arc::new(file.clone())));
    }
    Ok(())
}

/// Notes what was really used; of a run without a budget, what it is known to have cost.
pub(super) async fn end(session: &Session, file: &BudgetFile) -> Option<String> {
    let noted = match session.budget() {
        Some(budget) => budget.close().await,
        None => {
            let cost = session.metrics().spent().known_cost().unwrap_or_default();
            if cost == Usd::ZERO {
                return None;
            }
            let most = file.most_spent();
            most.and_then(|most| file.write(most + cost))
        }
    };
    let error = noted.err()?;
    Some(format!(
        "what is spent of the budget could not be noted: {error}"
    ))
}
