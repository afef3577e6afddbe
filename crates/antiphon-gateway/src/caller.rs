//! Who asks, and what they may.

use std::sync::Arc;

use antiphon::{
    Error,
    core::layers::spend::{Budget, BudgetSnapshot},
};
use http::HeaderMap;

/// The callers that are known.
#[derive(Debug)]
pub(crate) struct Callers {
    everybody: Arc<Caller>,
}

impl Callers {
    /// No keys: whoever reaches the server may ask.
    pub(crate) fn everybody() -> Self {
        Self {
            everybody: Arc::new(Caller { name: None }),
        }
    }

    /// Whether callers are told apart by their keys.
    pub(crate) fn use_keys(&self) -> bool {
        self.everybody.name.is_some()
    }

    /// The budgets of the keys that have one, by the name of the key.
    pub(crate) fn budgets(&self) -> Vec<(Arc<str>, BudgetSnapshot)> {
        let budget =
            |caller: &Arc<Caller>| Some((caller.name.clone()?, caller.payer()?.snapshot()));
        budget(&self.everybody).into_iter().collect()
    }

    /// The caller of a request, by its key.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`](antiphon::ErrorKind::Auth) with status 401: no key, or none that is known.
    pub(crate) fn identify(&self, _headers: &HeaderMap) -> Result<Arc<Caller>, Error> {
        Ok(Arc::clone(&self.everybody))
    }
}

/// Somebody who asks.
#[derive(Debug)]
pub(crate) struct Caller {
    name: Option<Arc<str>>,
}

impl Caller {
    /// The name of its key; `None` where no keys are used.
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// Refuses models that are not the caller's to use.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`](antiphon::ErrorKind::Auth) with status 403.
    pub(crate) fn may_use(&self, _model: &str) -> Result<(), Error> {
        Ok(())
    }

    /// The budget that pays for its calls.
    pub(crate) fn payer(&self) -> Option<Budget> {
        None
    }
}
