//! What the calls of a session may cost.

use std::num::NonZeroU64;

use antiphon_core::{
    ChatRequest, Error, Usd,
    account::Rates,
    layers::spend::{self, Budget, BudgetConfig, Budgets, SpendConfig},
};

use super::{GIVEN, Session, names::Plain};

pub(super) fn open(cap: Usd) -> Budget {
    Budgets::new().open(BudgetConfig {
        cap: Some(cap),
        ..BudgetConfig::default()
    })
}

impl Session {
    /// The budget of its calls, where they have one.
    pub fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    /// Refuses a request whose cost cannot be bounded, where there is a budget.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`](crate::ErrorKind::BadRequest).
    pub fn check_bounded(&self, request: &ChatRequest) -> Result<(), Error> {
        match self.budget {
            Some(_) => spend::check_bounded(request),
            None => Ok(()),
        }
    }

    /// Refuses a model without a price, where there is a budget.
    pub(super) fn check_priced(
        &self,
        model: &Plain,
        rates: Option<&dyn Rates>,
    ) -> Result<(), Error> {
        if self.budget.is_none() {
            return Ok(());
        }
        let name = format!("{}/{}", model.provider, model.model);
        let hint = || match model.provider == GIVEN {
            // it has no name that could be mistyped, and seldom a price: the client of an MCP connection pays for its own
            true => "leave the budget out, or ".to_owned(),
            false => self.meant(&name),
        };
        spend::check_priced(&name, rates, &*self.clock, hint)
    }

    /// The output cap that is sent with requests that name none, where one is.
    pub(super) fn usual_output_cap(&self) -> Option<u64> {
        let spending = self.spending()?;
        let of_budget = spending.budget.map(|_| spend::DEFAULT_MAX_OUTPUT_TOKENS);
        spending.max_output_tokens.or(of_budget)
    }

    /// How attempts are paid for, where anything is to be kept.
    pub(super) fn spending(&self) -> Option<SpendConfig> {
        let max_output_tokens = self.options.max_output_tokens.map(NonZeroU64::get);
        let is_needed =
            self.budget.is_some() || max_output_tokens.is_some() || self.options.pays_by_caller;
        is_needed.then(|| SpendConfig {
            budget: self.budget.clone(),
            max_output_tokens,
        })
    }
}
