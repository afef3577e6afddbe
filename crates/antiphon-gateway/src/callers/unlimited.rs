//! Callers where nothing keeps to what their keys allow: the tools of MCP ask models by themselves.

use antiphon::{Config, ConfigError, config::KeySettings, env::Lookup};

use super::{Caller, Callers, hash_in};

impl Callers {
    /// Those of a configuration, who are let in or not, and nothing more.
    ///
    /// # Errors
    /// A key has limits, models or a budget, which would be ignored here; or as [`Self::of`].
    pub(crate) fn unlimited(config: &Config, env: Lookup<'_>) -> Result<Self, ConfigError> {
        let mut callers = Self::everybody();
        for settings in &config.settings.keys {
            check(settings)?;
            let caller = Caller {
                name: Some(settings.name.as_str().into()),
                hash: hash_in(settings, env)?,
                is_admin: settings.admin,
                ..Caller::everybody()
            };
            callers.add(settings, caller)?;
        }
        Ok(callers)
    }
}

fn check(settings: &KeySettings) -> Result<(), ConfigError> {
    let bounds = [
        ("models", settings.models.is_some()),
        ("rpm", settings.rpm.is_some()),
        ("tpm", settings.tpm.is_some()),
        ("budget_usd_per_day", settings.budget_usd_per_day.is_some()),
    ];
    match bounds.into_iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((bound, _)) => {
            let (place, name) = (&settings.place, &settings.name);
            let message = format!(
                "{place}: the key {name:?} has {bound}, which the tools of MCP would not keep to: give them keys without \
                 bounds, in a file of their own that --config names"
            );
            Err(ConfigError(message))
        }
    }
}
