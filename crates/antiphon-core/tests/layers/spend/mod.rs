//! Budgets around a hand-written leaf.

mod callers;
mod durable;
mod paying;
mod settling;

use std::sync::Arc;

use antiphon_core::{
    ChatRequest, Usd,
    account::{Billed, Impacts, Rates, Worst, most_input_tokens},
    layers::{
        admit::AccountConfig,
        retry::RetryConfig,
        spend::{Budget, BudgetConfig, Budgets, SpendConfig},
    },
    stack::StackConfig,
};
use serde_json::json;

use crate::scripted::{Bench, Scripted, bench_of};

/// A picodollar for a token read, two for a token written.
#[derive(Debug)]
pub(super) struct Price;

impl Rates for Price {
    fn cost(&self, billed: &Billed<'_>) -> Option<Usd> {
        Some(picos(
            billed.usage.input_tokens + 2 * billed.usage.output_tokens,
        ))
    }

    fn impacts(&self, _: &Billed<'_>) -> Option<Impacts> {
        None
    }

    fn most(&self, worst: &Worst) -> Option<Usd> {
        let input = worst.input_tokens?;
        Some(picos(
            input.checked_add(worst.output_tokens.checked_mul(2)?)?,
        ))
    }
}

/// What `answer` costs at this price.
pub(super) const COST: u64 = 10 + 2 * 5;

pub(super) fn picos(amount: u64) -> Usd {
    Usd::from_picos(amount)
}

pub(super) fn capped(cap: u64) -> Budget {
    Budgets::new().open(BudgetConfig {
        cap: Some(picos(cap)),
        ..BudgetConfig::default()
    })
}

pub(super) fn config(budget: &Budget) -> StackConfig {
    StackConfig {
        retry: RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        },
        spend: Some(SpendConfig {
            budget: Some(budget.clone()),
            ..SpendConfig::default()
        }),
        rates: Some(Arc::new(Price)),
        ..StackConfig::default()
    }
}

/// A stack in which failures mean nothing but themselves: no outage is seen in them, and nothing is paused.
pub(super) fn paid(leaf: Arc<Scripted>, budget: &Budget) -> Bench {
    let account = AccountConfig {
        quota_only: true,
        ..AccountConfig::default()
    };
    bench_of(leaf, account, &config(budget))
}

/// A request whose worst case is `HOLD`.
pub(super) fn request() -> ChatRequest {
    ChatRequest::prompt("x").with_param("max_tokens", json!(100))
}

pub(super) fn hold() -> u64 {
    most_input_tokens(&request()).unwrap() + 2 * 100
}

/// What is spent, lost and open, in picodollars.
pub(super) fn books(budget: &Budget) -> (u64, u64, u64) {
    let now = budget.snapshot();
    (now.spent.picos(), now.lost.picos(), now.open.picos())
}
