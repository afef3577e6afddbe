//! What is known of models: prices, context windows, dates, and the energy that they take. Data of `catalog/*.json`, and what
//! the user lays over it.
//!
//! Models are found by exact name, by alias, or as a dated snapshot of one ([`names`]), within their provider. Of what is
//! not found nothing is known: there are no guesses.

pub mod data_centres;
mod day;
pub mod energy;
mod entry;
pub mod estimate;
pub mod names;
mod overrides;
mod rates;
#[cfg(test)]
mod tests;
pub mod zones;

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use day::Day;
pub use entry::{Entry, Tier, TieredPrices, TimedPrices};
use names::Names;
pub use overrides::Override;

/// Version of the form of catalogues.
pub const SCHEMA: u64 = 1;
/// What lists say of a model beside its values: it follows from these, from the time and from other tables.
const FOLLOWING: [&str; 3] = ["prices_now", "retired", "estimate"];
/// Where the simulated models stand.
const SIM: &str = "sim";
/// Age from which on prices are worth a look.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);

static BUILT_IN: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
    let file = include_str!("../../catalog/prices.json");
    let catalog = Catalog::parse(file, "the built-in catalogue");
    Arc::new(catalog.expect("the file is part of the program, and a test reads it"))
});

/// Models and what is known of them.
#[derive(Clone, Debug)]
pub struct Catalog {
    as_of: Day,
    sources: Vec<Source>,
    models: Vec<Arc<Entry>>,
    names: Names<usize>,
}

/// Where values come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What it is called.
    pub name: String,
    /// Version of its data.
    #[serde(default)]
    pub version: String,
    /// Licence of its data.
    #[serde(default)]
    pub licence: String,
    /// Where it is found.
    #[serde(default)]
    pub url: String,
    /// What was taken from it.
    #[serde(default)]
    pub used_for: String,
}

/// Why a text is no catalogue; names the place and the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogError(pub String);

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CatalogError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "schema")]
    _schema: u64,
    as_of: Day,
    #[serde(default, rename = "unit")]
    _unit: Option<String>,
    #[serde(default)]
    sources: Vec<Source>,
    models: Vec<Value>,
}

impl Catalog {
    /// The one that is part of the program.
    pub fn built_in() -> Arc<Self> {
        BUILT_IN.clone()
    }

    /// Reads a catalogue in the form of the built-in one. `place` is named in messages, and is the source of models where the
    /// text names none.
    ///
    /// # Errors
    /// It is not JSON or of another form; a price is negative, not finite or finer than a picodollar per token; two models
    /// have the same name.
    pub fn parse(text: &str, place: &str) -> Result<Self, CatalogError> {
        let wrong = |why: String| CatalogError(format!("{place}: {why}"));
        let value: Value = serde_json::from_str(text)
            .map_err(|error| wrong(format!("it is not JSON: {error}")))?;
        if let Some(other) = value.get("schema").filter(|schema| **schema != SCHEMA) {
            return Err(wrong(format!(
                "schema {other} is not known; this is {SCHEMA}"
            )));
        }
        let file: File = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
        let mut catalog = Self {
            as_of: file.as_of,
            models: Vec::with_capacity(file.models.len()),
            names: Names::default(),
            sources: file.sources,
        };
        let source = catalog.sources.first();
        let source = source.map_or(place, |source| &source.name).to_owned();
        for (at, model) in file.models.into_iter().enumerate() {
            let name = |key: &str| model.get(key).and_then(Value::as_str).unwrap_or("?");
            let called = format!("model {}, {}/{}", at + 1, name("provider"), name("model"));
            let wrong = |why: String| wrong(format!("{called}: {why}"));
            let mut told = model.clone();
            if let Value::Object(told) = &mut told {
                told.retain(|key, _| !FOLLOWING.contains(&key.as_str()));
            }
            let entry = serde_json::from_value(told);
            let mut entry: Entry = entry.map_err(|error| wrong(error.to_string()))?;
            entry.prepare().map_err(wrong)?;
            if entry.source.is_empty() {
                entry.source.clone_from(&source);
            }
            entry.as_of = entry.as_of.or(Some(file.as_of));
            catalog.add(entry).map_err(wrong)?;
        }
        Ok(catalog)
    }

    fn add(&mut self, entry: Entry) -> Result<(), String> {
        let at = self.models.len();
        for name in entry.names() {
            if let Some(other) = self.names.give(&entry.provider, name, at) {
                let other = self.models.get(other).map_or(&entry, |other| other);
                return Err(format!("{name:?} is a name of {} too", other.model));
            }
        }
        self.models.push(Arc::new(entry));
        Ok(())
    }

    /// Puts a model in the place of the one that has its name, or at the end. It takes its names from any other.
    fn replace(&mut self, entry: Entry) {
        let own = |other: &Arc<Entry>| {
            other.provider == entry.provider && other.model.eq_ignore_ascii_case(&entry.model)
        };
        let at = self.models.iter().position(own);
        let at = at.unwrap_or(self.models.len());
        for name in entry.names() {
            let before = self.names.give(&entry.provider, name, at);
            if let Some(other) = before.filter(|other| *other != at) {
                let other = Arc::make_mut(&mut self.models[other]);
                other
                    .aliases
                    .retain(|alias| !alias.eq_ignore_ascii_case(name));
            }
        }
        match self.models.get_mut(at) {
            Some(before) => *before = Arc::new(entry),
            None => self.models.push(Arc::new(entry)),
        }
    }

    /// What is known of a provider's model: by its exact name or alias, without what clouds add to it, or as a dated
    /// snapshot. A simulated model that is not listed is known as the one it is named after, of whichever provider.
    pub fn find(&self, provider: &str, model: &str) -> Option<&Arc<Entry>> {
        let at = self
            .names
            .find(provider, model)
            .or_else(|| (provider == SIM).then(|| self.simulated(model))?);
        self.models.get(*at?)
    }

    fn simulated(&self, model: &str) -> Option<&usize> {
        let qualified = model.split_once('/');
        qualified
            .and_then(|(provider, model)| self.names.find(provider, model))
            .or_else(|| {
                let mut models = self.models.iter();
                models.find_map(|entry| self.names.find(&entry.provider, model))
            })
    }

    /// All models, in the order of the file and then of what was added.
    pub fn models(&self) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        self.models.iter()
    }

    /// The day as of which the file's values are so.
    pub fn as_of(&self) -> Day {
        self.as_of
    }

    /// Where the file's values come from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether the file is older than a month.
    pub fn is_old(&self, now: SystemTime) -> bool {
        let age = now.duration_since(self.as_of.begin());
        age.is_ok_and(|age| age > OLD)
    }
}

impl Entry {
    /// All its names: its own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let aliases = self.aliases.iter().map(String::as_str);
        std::iter::once(self.model.as_str()).chain(aliases)
    }
}
