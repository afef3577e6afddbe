//! The calls that a request becomes, as far as an estimate needs to know them.

use std::sync::Arc;

use antiphon_core::{account::Rates, layers::admit::AccountConfig};
use antiphon_providers::tokens::Counter;
use serde_json::{Map, Value};

/// A provider's model, with what is known of it before anything is sent.
#[derive(Debug)]
pub(crate) struct Target {
    /// `provider/model`.
    pub(crate) name: String,
    pub(crate) rates: Arc<dyn Rates>,
    pub(crate) counter: Counter,
    /// Limits of its account.
    pub(crate) account: AccountConfig,
    /// The output cap of a request that names none, where its wire format has one.
    pub(crate) usual_cap: Option<u64>,
}

/// Calls that a request to a model makes where nothing fails: a fallback is none of them.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: Arc<Target>,
    /// How many.
    pub(crate) times: u32,
    /// Parameters that the configuration gives it, beneath those of a request.
    pub(crate) params: Map<String, Value>,
    /// Whether another model may be called after it, which may cost more.
    pub(crate) may_fall_back: bool,
    /// Whether it reads what the others have answered.
    pub(crate) decides: bool,
}

impl Asked {
    pub(super) fn once(target: Arc<Target>) -> Self {
        Self {
            target,
            times: 1,
            params: Map::new(),
            may_fall_back: false,
            decides: false,
        }
    }

    /// Every call so many times.
    pub(super) fn times(calls: &[Self], times: u32) -> Vec<Self> {
        let each = calls.iter().map(|call| Self {
            times: call.times.saturating_mul(times),
            ..call.clone()
        });
        each.collect()
    }

    /// The same calls, behind which others stand that answer where they fail.
    pub(super) fn falling_back(calls: &[Self]) -> Vec<Self> {
        let each = calls.iter().map(|call| Self {
            may_fall_back: true,
            ..call.clone()
        });
        each.collect()
    }

    /// The same calls, made to decide.
    pub(super) fn deciding(calls: &[Self]) -> Vec<Self> {
        let each = calls.iter().map(|call| Self {
            decides: true,
            ..call.clone()
        });
        each.collect()
    }
}
