//! Configuration: `antiphon.toml` of the working folder over that of the user; flags and environment win over both.

mod file;
mod keys;

use std::path::{Path, PathBuf};

use crate::env::{self, Lookup};

pub use file::{ConfigError, ModelConfig, ProviderConfig, Settings, SimSettings};

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

    /// The values as they take effect: environment variables stand over the files' values. Keys are named, never shown.
    pub fn effective(&self, env: Lookup<'_>) -> Vec<Origin> {
        let mut origins = self.origins.clone();
        for provider in &antiphon_providers::dialects::PROVIDERS {
            let key = |field: &str| format!("providers.{}.{field}", provider.name);
            let mut put = |field: &str, value: String, from: String| {
                origins.retain(|origin| origin.key != key(field));
                origins.push(Origin {
                    key: key(field),
                    value,
                    from,
                });
            };
            if let Some(variable) = provider.base_url_env
                && let Some(url) = env(variable)
            {
                put("base_url", format!("{url:?}"), variable.to_owned());
            }
            let named = self.settings.providers.get(provider.name);
            let named = named.and_then(|provider| provider.api_key_env.as_deref());
            if let Some(variable) = named.or(provider.key_env) {
                let state = if env(variable).is_some() {
                    "set"
                } else {
                    "not set"
                };
                put("api_key", format!("\"({state})\""), variable.to_owned());
            }
        }
        origins.sort_by(|a, b| a.key.cmp(&b.key));
        origins
    }

    fn merge(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("cannot read {}: {error}", path.display())))?;
        let (settings, origins) = file::parse(&text, path)?;
        self.settings.merge(settings);
        for origin in origins {
            self.origins.retain(|known| known.key != origin.key);
            self.origins.push(origin);
        }
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
