//! Names of models, followed to their providers.

use std::time::Duration;

use antiphon_core::{Error, ErrorKind};
use antiphon_providers::dialects;
use serde_json::{Map, Value};

use super::{SIM, Session, Wire};
use crate::nearest;

/// A name followed to its provider, with what configured names on the way said.
pub(super) struct Followed {
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) params: Map<String, Value>,
    pub(super) timeout: Option<Duration>,
    pub(super) max_retries: Option<u32>,
}

impl Session {
    pub(super) fn follow(&self, name: &str, wire: Wire) -> Result<Followed, Error> {
        let mut followed = Followed {
            provider: String::new(),
            model: name.to_owned(),
            params: Map::new(),
            timeout: None,
            max_retries: None,
        };
        let mut path = vec![name.to_owned()];
        while let Some(model) = self.config.settings.models.get(&followed.model) {
            for (name, value) in &model.params {
                followed
                    .params
                    .entry(name.clone())
                    .or_insert_with(|| value.clone());
            }
            followed.timeout = followed.timeout.or(model.timeout);
            followed.max_retries = followed.max_retries.or(model.max_retries);
            if path.contains(&model.target) {
                path.push(model.target.clone());
                return Err(Error::new(
                    ErrorKind::BadRequest,
                    format!("models point at each other: {}", path.join(" → ")),
                ));
            }
            path.push(model.target.clone());
            followed.model.clone_from(&model.target);
        }
        let pinned = self.options.provider.is_some() || self.options.base_url.is_some();
        // what a configured name stands for is always provider/model
        if pinned && path.len() == 1 {
            let provider = self.options.provider.as_deref();
            followed.provider = provider.unwrap_or(wire.provider()).to_owned();
        } else if let Some((provider, model)) = followed.model.split_once('/') {
            followed.provider = provider.to_owned();
            followed.model = model.to_owned();
        } else {
            followed.provider = self
                .default_provider()
                .unwrap_or_else(|| wire.provider().to_owned());
        }
        Ok(followed)
    }

    /// The provider of `default_model`, through configured names.
    fn default_provider(&self) -> Option<String> {
        let mut name = self.config.settings.default_model.as_ref()?;
        for _ in 0..self.config.settings.models.len() {
            match self.config.settings.models.get(name) {
                Some(model) => name = &model.target,
                None => break,
            }
        }
        name.split_once('/')
            .map(|(provider, _)| provider.to_owned())
    }

    /// Everything that decides which model a name means, as text: two runs with the same text mean the same by a name.
    pub fn meaning_of_names(&self) -> String {
        let settings = &self.config.settings;
        let base_urls = dialects::PROVIDERS
            .iter()
            .filter_map(|provider| Some((provider.name, self.env(provider.base_url_env?)?)));
        format!(
            "{:?} {:?} {:?} {:?}",
            settings.default_model,
            settings
                .models
                .iter()
                .map(|(name, model)| (name, &model.target, &model.params))
                .collect::<Vec<_>>(),
            settings
                .providers
                .iter()
                .map(|(name, provider)| (name, &provider.dialect, &provider.base_url))
                .collect::<Vec<_>>(),
            base_urls.collect::<Vec<_>>(),
        )
    }

    pub(super) fn unknown_provider(&self, name: &str) -> Error {
        let configured = self.config.settings.providers.keys().map(String::as_str);
        let known: Vec<&str> = dialects::PROVIDERS
            .iter()
            .map(|provider| provider.name)
            .chain([SIM])
            .chain(configured)
            .collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!(
                "known are {}; for a model name with a slash on a local server pass --base-url",
                known.join(", ")
            ),
        };
        Error::new(
            ErrorKind::ModelNotFound,
            format!("unknown provider {name:?}; {hint}"),
        )
    }
}
