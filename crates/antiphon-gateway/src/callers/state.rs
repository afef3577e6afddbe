//! Callers at one moment, for people to read.

use std::sync::Arc;

use antiphon::core::{chat::RateLimits, layers::spend::BudgetSnapshot};

/// A caller at one moment, for pages and metrics.
#[derive(Clone, Debug)]
pub struct CallerState {
    /// The name of its key.
    pub name: Arc<str>,
    /// Whether it may see the dashboard and the metrics.
    pub is_admin: bool,
    /// Models that it may ask, as the configuration has them; `None`: all.
    pub models: Option<Vec<String>>,
    /// Its limits per minute and what is left of them.
    pub limits: RateLimits,
    /// Its budget of this day in UTC, where it has one.
    pub budget: Option<BudgetSnapshot>,
}

/// What a caller may spend, and has spent, for the page.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct CallerBudget {
    /// The name of its key.
    pub(crate) name: String,
    /// Dollars a day, UTC.
    pub(crate) budget_usd: f64,
    /// Dollars of it that are spent or kept for calls under way.
    pub(crate) spent_usd: f64,
}

impl CallerBudget {
    pub(super) fn of(caller: &CallerState) -> Option<Self> {
        let budget = caller.budget?;
        Some(Self {
            name: caller.name.to_string(),
            budget_usd: budget.cap?.as_f64(),
            spent_usd: budget.used().as_f64(),
        })
    }
}
