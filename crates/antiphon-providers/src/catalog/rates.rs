//! The rates of one target: the catalogue as the layers ask it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_core::account::{Billed, Impacts, Rates, Usd, Worst};

use super::{Catalog, Entry};

/// Service tiers (`service_tier` of a request) that cost what the catalogue says: a request of any other has no known price.
const STANDARD_TIERS: [&str; 4] = ["auto", "default", "standard", "standard_only"];

/// Whether the prices of the catalogue are those of a service tier.
pub fn is_standard_tier(service_tier: &str) -> bool {
    STANDARD_TIERS.contains(&service_tier)
}

impl Catalog {
    /// The rates of a provider's model. What an answer costs is decided by the model that it names, where that is known.
    pub fn rates(self: &Arc<Self>, provider: &str, model: &str) -> Arc<dyn Rates> {
        Arc::new(ModelRates {
            requested: self.find(provider, model).cloned(),
            provider: provider.to_owned(),
            last: Mutex::default(),
            catalog: self.clone(),
        })
    }
}

struct ModelRates {
    catalog: Arc<Catalog>,
    provider: String,
    requested: Option<Arc<Entry>>,
    /// The name that the last answer reported, and what is known of it: it hardly ever changes.
    last: Mutex<Option<(String, Option<Arc<Entry>>)>>,
}

impl fmt::Debug for ModelRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requested = self.requested.as_ref().map(|entry| &entry.model);
        f.debug_struct("ModelRates")
            .field("provider", &self.provider)
            .field("requested", &requested)
            .finish_non_exhaustive()
    }
}

impl ModelRates {
    /// What is known of the model that an answer names.
    fn reported(&self, name: &str) -> Option<Arc<Entry>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, entry)) = &*last
            && known == name
        {
            return entry.clone();
        }
        let entry = self.catalog.find(&self.provider, name).cloned();
        *last = Some((name.to_owned(), entry.clone()));
        entry
    }

    /// The model whose prices hold for an answer.
    fn billed(&self, reported: Option<&str>) -> Option<Arc<Entry>> {
        let reported = reported.and_then(|name| self.reported(name));
        match (&self.requested, reported) {
            // the user has said what the requested name costs, and nothing of the other one
            (Some(own), Some(other)) if own.is_users && !other.is_users => Some(own.clone()),
            (requested, reported) => reported.or_else(|| requested.clone()),
        }
    }
}

impl Rates for ModelRates {
    fn cost(&self, billed: &Billed<'_>) -> Option<Usd> {
        let entry = self.billed(billed.reported)?;
        entry.list.cost(&billed.usage, billed.sent)
    }

    fn impacts(&self, _billed: &Billed<'_>) -> Option<Impacts> {
        // the catalogue of prices knows nothing of energy
        None
    }

    fn most(&self, worst: &Worst) -> Option<Usd> {
        let entry = self.requested.as_ref()?;
        let input = worst.input_tokens.or_else(|| entry.most_input());
        let worst = Worst {
            // what is free is free without a bound
            input_tokens: Some(input.unwrap_or(u64::MAX)),
            ..*worst
        };
        let most = entry.list.most(&worst)?;
        Some(most).filter(|most| *most < Usd::MAX)
    }
}
