//! Which models have a name of their own in labels. A caller's text never becomes a label: it could be anything, and
//! each new one costs memory for ever.

use std::{collections::HashMap, sync::Arc};

use antiphon::Session;

/// What failed calls asked for that nobody knows.
pub(super) const UNKNOWN: &str = "unknown";
/// Models that answered and for which no name is left.
pub(super) const OTHER: &str = "other";

/// Providers whose models are asked without naming them.
const BARE: [&str; 2] = ["anthropic/", "openai/"];

/// Names of models that are known: configured, part of what is configured, or in the table of models.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Arc<str>, Arc<str>>);

impl Names {
    pub(super) fn of(session: &Session) -> Self {
        let mut names = HashMap::new();
        let parts = session.configured_parts();
        for name in session.model_names().into_iter().chain(parts) {
            let name: Arc<str> = name.into();
            for provider in BARE {
                if let Some(bare) = name.strip_prefix(provider) {
                    names.entry(Arc::from(bare)).or_insert_with(|| name.clone());
                }
            }
            names.insert(name.clone(), name);
        }
        Self(names)
    }

    pub(super) fn knows(&self, model: &str) -> bool {
        model == UNKNOWN || self.0.get(model).is_some_and(|name| **name == *model)
    }

    /// The label of a model that was asked and did not answer.
    pub(super) fn asked(&self, name: &str) -> Arc<str> {
        let known = self.0.get(name);
        known.map_or_else(|| UNKNOWN.into(), Arc::clone)
    }
}
