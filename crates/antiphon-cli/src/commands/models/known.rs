//! Everything that is known of models, in one list: prices and windows of the catalogue, and energy.

use std::{collections::HashMap, sync::Arc};

use antiphon::{
    Config,
    catalog::{Catalog, Entry, energy, estimate::Estimate, names},
    core::account::Impacts,
};

/// Tokens that energy is told for.
const TOKENS: u64 = 1_000;

/// A model.
pub(super) struct Known {
    /// What is known beside its energy.
    pub(super) entry: Arc<Entry>,
    /// What its answers take, where that is known.
    pub(super) estimate: Option<Estimate>,
}

impl Known {
    /// What 1000 tokens of output take.
    pub(super) fn impacts(&self) -> Option<Impacts> {
        let estimate = self.estimate.as_ref()?;
        Some(estimate.impacts(TOKENS, None))
    }

    /// Its names, each behind its provider.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let entry = &self.entry;
        std::iter::once(&entry.model)
            .chain(&entry.aliases)
            .map(|name| format!("{}/{name}", entry.provider).to_lowercase())
    }
}

/// All models, by provider: first those of the catalogue, then those of which only the energy is known.
pub(super) fn all(catalog: &Catalog, config: &Config) -> Vec<Known> {
    let priced = catalog.models().cloned();
    let others = energy::models().iter().filter(|model| {
        let known = catalog.find(&model.provider, &model.name);
        known.is_none()
    });
    let others = others.map(|model| Arc::new(of_energy(model)));
    let mut known: Vec<Known> = priced
        .chain(others)
        .map(|entry| Known {
            estimate: estimate(&entry, config),
            entry,
        })
        .collect();
    let mut places: HashMap<String, usize> = HashMap::new();
    for one in &known {
        let next = places.len();
        places.entry(one.entry.provider.clone()).or_insert(next);
    }
    known.sort_by_key(|one| places.get(&one.entry.provider).copied());
    known
}

fn of_energy(model: &energy::EnergyModel) -> Entry {
    let source = energy::source();
    Entry {
        provider: model.provider.clone(),
        model: model.name.clone(),
        aliases: model.aliases.clone(),
        source: source.source.clone(),
        as_of: source.date.parse().ok(),
        ..Entry::default()
    }
}

fn estimate(entry: &Entry, config: &Config) -> Option<Estimate> {
    let provider = config.settings.providers.get(&entry.provider);
    let zone = provider.and_then(|provider| provider.zone);
    let names = names::candidates(&entry.provider, &entry.model);
    Estimate::of(&entry.provider, names.iter().map(String::as_str), zone).ok()
}
