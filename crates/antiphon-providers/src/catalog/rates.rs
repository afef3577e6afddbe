//! The rates of one target: the catalogue as the layers ask it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_core::account::{Billed, Impacts, Rates, Usd, Worst, is_standard_tier};

use super::{Catalog, Entry, estimate::Estimate, names, zones::Zone};

impl Catalog {
    /// The rates of a provider's model. What an answer costs and takes is decided by the model that it names, where that is
    /// known. Without a `zone` the electricity is that of the provider's data centres.
    pub fn rates(
        self: &Arc<Self>,
        provider: &str,
        model: &str,
        zone: Option<&'static Zone>,
    ) -> Arc<dyn Rates> {
        let mut rates = ModelRates {
            requested: Known::default(),
            provider: provider.to_owned(),
            zone,
            last: Mutex::default(),
            catalog: self.clone(),
        };
        rates.requested = rates.known(model);
        Arc::new(rates)
    }
}

struct ModelRates {
    catalog: Arc<Catalog>,
    provider: String,
    zone: Option<&'static Zone>,
    requested: Known,
    /// The name that the last answer reported, and what is known of it: it hardly ever changes.
    last: Mutex<Option<(String, Known)>>,
}

/// What is known of a name. A dated snapshot may have energy data of its own and the price of its alias.
#[derive(Clone, Debug, Default)]
struct Known {
    entry: Option<Arc<Entry>>,
    energy: Option<Arc<Estimate>>,
}

impl fmt::Debug for ModelRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requested = self.requested.entry.as_ref().map(|entry| &entry.model);
        f.debug_struct("ModelRates")
            .field("provider", &self.provider)
            .field("requested", &requested)
            .finish_non_exhaustive()
    }
}

impl ModelRates {
    fn known(&self, name: &str) -> Known {
        let names = names::candidates(&self.provider, name);
        let estimate = Estimate::of(&self.provider, names.iter().map(String::as_str), self.zone);
        Known {
            entry: self.catalog.find(&self.provider, name).cloned(),
            energy: estimate.ok().map(Arc::new),
        }
    }

    /// What is known of the model that an answer names.
    fn reported(&self, name: &str) -> Known {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, known)) = &*last
            && before == name
        {
            return known.clone();
        }
        let known = self.known(name);
        *last = Some((name.to_owned(), known.clone()));
        known
    }

    /// The model whose prices hold for an answer.
    fn billed(&self, reported: Option<&str>) -> Option<Arc<Entry>> {
        let requested = self.requested.entry.as_ref();
        let reported = reported.and_then(|name| self.reported(name).entry);
        match (requested, reported) {
            // the user has said what the requested name costs, and nothing of the other one
            (Some(own), Some(other)) if own.is_users && !other.is_users => Some(own.clone()),
            (requested, reported) => reported.or_else(|| requested.cloned()),
        }
    }

    /// The model whose energy it took.
    fn computed(&self, reported: Option<&str>) -> Option<Arc<Estimate>> {
        let reported = reported.and_then(|name| self.reported(name).energy);
        reported.or_else(|| self.requested.energy.clone())
    }
}

impl Rates for ModelRates {
    fn cost(&self, billed: &Billed<'_>) -> Option<Usd> {
        if !billed.service_tier.is_none_or(is_standard_tier) {
            return None;
        }
        let entry = self.billed(billed.reported)?;
        entry.list.cost(&billed.usage, billed.sent)
    }

    fn impacts(&self, billed: &Billed<'_>) -> Option<Impacts> {
        let estimate = self.computed(billed.reported)?;
        Some(estimate.impacts(billed.usage.output_tokens, Some(billed.latency)))
    }

    fn most(&self, worst: &Worst) -> Option<Usd> {
        let entry = self.requested.entry.as_ref()?;
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
