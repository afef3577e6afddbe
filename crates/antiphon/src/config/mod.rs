//! Configuration: `antiphon.toml` of the working folder over that of the user; flags and environment win over both.

mod callers;
mod file;
mod keys;
mod mcp;
mod model;
mod prices;
mod rescue;
mod sim;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use antiphon_providers::dialects::PROVIDERS;

use crate::env::{self, Lookup};

pub use callers::{KeyHash, KeySettings};
pub use file::{ConfigError, ProviderConfig, Settings};
pub use mcp::{ClientLimit, McpSettings};
pub use model::{Combination, DeciderSettings, EnsembleSettings, Made, ModelConfig};
pub use prices::PriceSettings;
pub use rescue::RescueSettings;
pub use sim::SimSettings;

/// The merged configuration and where each value came from.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The values.
    pub settings: Settings,
    /// Dotted name of each value, its text and the file that set it, sorted by name.
    pub origins: Vec<Origin>,
}

/// A value of the configuration and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Origin {
    /// Dotted name, `providers.openai.rpm`.
    pub key: String,
    /// The value as TOML.
    pub value: String,
    /// File and line, or the variable.
    pub from: String,
}

impl Config {
    /// Loads the configuration: `named` (from `--config`, else `ANTIPHON_CONFIG`, else `antiphon.toml` in `folder`)
    /// over the user's `antiphon/antiphon.toml`. A file that was named must be there.
    ///
    /// # Errors
    /// A file cannot be read, is not TOML, or has a key that does not exist.
    pub fn load(folder: &Path, named: Option<&Path>, env: Lookup<'_>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some(user) = user_file(env).filter(|path| path.is_file()) {
            config.merge(&user)?;
        }
        let named = named.map_or_else(
            || env(env::ANTIPHON_CONFIG).map(PathBuf::from),
            |path| Some(path.to_owned()),
        );
        let local = folder.join("antiphon.toml");
        match named {
            Some(path) => config.merge(&path)?,
            None if local.is_file() => config.merge(&local)?,
            None => {}
        }
        config.origins.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(config)
    }

    /// The configuration of a text in the form of `antiphon.toml`, without any file.
    ///
    /// # Errors
    /// It is not TOML, or has a key that does not exist; the message says where.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let (settings, mut origins) = file::parse(text, Path::new("configuration"))?;
        origins.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { settings, origins })
    }

    /// The values as they take effect: environment variables stand over the files' values, and these over what is
    /// built in. Keys are named, never shown.
    pub fn effective(&self, env: Lookup<'_>) -> Vec<Origin> {
        let mut origins: BTreeMap<String, Origin> = BTreeMap::new();
        let mut put = |key: String, mut value: String, from: String| {
            if keys::may_hold_secret(&key, &value) {
                value = "\"(hidden)\"".to_owned();
            }
            let origin = Origin { key, value, from };
            origins.insert(origin.key.clone(), origin);
        };
        for provider in &PROVIDERS {
            let key = format!("providers.{}.base_url", provider.name);
            put(key, format!("{:?}", provider.base_url), "built in".into());
        }
        for origin in &self.origins {
            put(
                origin.key.clone(),
                origin.value.clone(),
                origin.from.clone(),
            );
        }
        for provider in &PROVIDERS {
            if let Some(variable) = provider.base_url_env
                && let Some(url) = env(variable)
            {
                let key = format!("providers.{}.base_url", provider.name);
                put(key, format!("{url:?}"), variable.to_owned());
            }
        }
        for (name, variable) in self.key_variables() {
            let state = match env(variable) {
                Some(_) => "\"(set)\"",
                None => "\"(not set)\"",
            };
            put(name, state.to_owned(), variable.to_owned());
        }
        origins.into_values().collect()
    }

    /// The keys of providers and callers that are in variables: the dotted name of each, and its variable.
    fn key_variables(&self) -> BTreeMap<String, &str> {
        let built_in = PROVIDERS.iter();
        let of_provider = |name: &str| format!("providers.{name}.api_key");
        let mut variables: BTreeMap<String, &str> = built_in
            .filter_map(|provider| Some((of_provider(provider.name), provider.key_env?)))
            .collect();
        for (name, provider) in &self.settings.providers {
            if let Some(variable) = &provider.api_key_env {
                variables.insert(of_provider(name), variable);
            }
        }
        for key in &self.settings.keys {
            if let Some(variable) = &key.key_env {
                variables.insert(format!("{}key", keys::prefix_of(&key.name)), variable);
            }
        }
        variables
    }

    fn merge(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("cannot read {}: {error}", path.display())))?;
        let (settings, origins) = file::parse(&text, path)?;
        // a model or key that is defined again is another one, none of whose old values stay
        let models = settings.models.keys().map(|name| format!("models.{name}."));
        let callers = settings.keys.iter().map(|key| keys::prefix_of(&key.name));
        let defined: Vec<String> = models.chain(callers).collect();
        let is_replaced = |known: &Origin| {
            defined.iter().any(|prefix| known.key.starts_with(prefix))
                || origins.iter().any(|origin| origin.key == known.key)
        };
        self.origins.retain(|known| !is_replaced(known));
        self.origins.extend(origins);
        self.settings.merge(settings);
        Ok(())
    }
}

fn user_file(env: Lookup<'_>) -> Option<PathBuf> {
    let folder = match env("XDG_CONFIG_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => etcetera::home_dir().ok()?.join(".config"),
    };
    Some(folder.join("antiphon").join("antiphon.toml"))
}
