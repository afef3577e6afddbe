//! The way in for programs: a session of the configuration and environment, and models by name.

use antiphon_core::{Error, SharedModel, patterns::ensemble::Directory};
use antiphon_providers::dialects;
use tokio_util::sync::CancellationToken;

use super::{Session, SessionOptions, Wire, defaults::with_defaults};
use crate::{Config, ConfigError, env};

impl Session {
    /// A session of `antiphon.toml` (in the working folder, over the user's; `ANTIPHON_CONFIG` names another) and the
    /// process's environment, as the command line has it.
    ///
    /// # Errors
    /// A configuration file cannot be read or used; the message says where.
    pub fn from_env() -> Result<Self, ConfigError> {
        let folder = std::env::current_dir()
            .map_err(|error| ConfigError(format!("the working folder is gone: {error}")))?;
        let config = Config::load(&folder, None, &env::process)?;
        Ok(Self::of(config))
    }

    /// A session of a text in the form of `antiphon.toml` and the process's environment; no configuration file is read.
    ///
    /// ```
    /// use antiphon::Session;
    ///
    /// // a provider to practise on: slow, and every tenth call fails
    /// let session = Session::from_toml(
    ///     r#"
    ///     [providers.sim]
    ///     latency = "300ms"
    ///     fail = ["429=10%"]
    ///     "#,
    /// )?;
    /// let model = session.model("sim/demo")?;
    /// # assert!(Session::from_toml("[providers.sim]\nlatancy = 1").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The text is not TOML, or has a key that does not exist; the message says where.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Ok(Self::of(Config::from_toml(text)?))
    }

    /// The names that callers of a gateway may ask: those of the configuration, then known models of providers that can be
    /// reached, provider/model.
    pub fn model_names(&self) -> Vec<String> {
        let configured = self.config.settings.models.keys().cloned();
        let mut names: Vec<String> = configured.collect();
        let Ok(catalog) = self.catalog() else {
            return names;
        };
        let reachable = |provider: &str| {
            let known = dialects::provider(provider);
            let set =
                |variable: Option<&str>| variable.is_some_and(|name| self.env(name).is_some());
            known.is_some_and(|known| set(known.key_env) || set(known.base_url_env))
                || self.config.settings.providers.contains_key(provider)
        };
        let known = catalog.models().filter(|entry| reachable(&entry.provider));
        names.extend(known.map(|entry| format!("{}/{}", entry.provider, entry.model)));
        names
    }

    /// What configured names stand for, as the configuration writes it.
    pub fn configured_parts(&self) -> Vec<String> {
        let models = self.config.settings.models.values();
        let parts = models.flat_map(|model| model.made.parts());
        parts.map(ToString::to_string).collect()
    }

    fn of(config: Config) -> Self {
        let options = SessionOptions::default();
        Self::new(config, options, &env::process, CancellationToken::new())
    }

    /// The model of a name: `provider/model`, or one of the configuration with its parameters. Models of one session share
    /// their accounts' limits.
    ///
    /// # Errors
    /// As [`Session::resolve`].
    pub fn model(&self, name: &str) -> Result<SharedModel, Error> {
        let resolved = self.resolve(name, Wire::OpenAi)?;
        Ok(with_defaults(resolved.model.clone(), &resolved.params))
    }
}

impl Directory for Session {
    fn model(&self, name: &str) -> Result<SharedModel, Error> {
        Self::model(self, name)
    }
}
