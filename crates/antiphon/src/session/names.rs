//! Names of models, followed to their providers.

use std::time::Duration;

use antiphon_core::{Error, ErrorKind, patterns::RescueMode};
use antiphon_providers::dialects;
use serde_json::{Map, Value};

use super::{GIVEN, SIM, Session, Wire, limits::CallLimits};
use crate::{
    config::{Combination, Made, RescueSettings},
    nearest,
};

/// A name followed to what it stands for, with what configured names on the way said.
pub(super) struct Followed<'a> {
    pub(super) stands_for: StandsFor<'a>,
    pub(super) params: Map<String, Value>,
    pub(super) limits: CallLimits,
    /// The longest that a whole call may take.
    pub(super) deadline: Option<Duration>,
    /// The text that is given where the model fails.
    pub(super) rescue: Option<&'a str>,
    /// What becomes of its streams that break, where one of the names says so.
    pub(super) rescue_mode: Option<RescueMode>,
}

/// What a name stands for in the end.
pub(super) enum StandsFor<'a> {
    /// A model of a provider.
    Plain(Plain),
    /// A model made of others.
    Combination(&'a Combination),
}

/// A model of a provider.
pub(super) struct Plain {
    pub(super) provider: String,
    pub(super) model: String,
    /// Nobody named the provider.
    pub(super) is_bare: bool,
}

impl Session {
    /// Follows a name through the configuration. `path` holds the names on the way to it, and takes those on the way on.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`]: names that stand for each other. [`ErrorKind::ModelNotFound`]: a slip of a caller's.
    pub(super) fn follow(
        &self,
        name: &str,
        wire: Wire,
        limits: CallLimits,
        path: &mut Vec<String>,
    ) -> Result<Followed<'_>, Error> {
        let mut params = Map::new();
        let mut said = CallLimits::default();
        let (mut deadline, mut rescue, mut rescue_mode) = (None, None, None);
        let mut name = name.to_owned();
        let is_configured = |name: &str| self.config.settings.models.contains_key(name);
        let from_user = path.is_empty() && !is_configured(&name);
        if from_user && self.options.failover {
            self.refuse_slip(&name, wire)?;
        }
        let combination = loop {
            let Some(model) = self.config.settings.models.get(&name) else {
                break None;
            };
            if path.contains(&name) {
                path.push(name);
                let message = format!("models point at each other: {}", path.join(" → "));
                return Err(Error::new(ErrorKind::BadRequest, message));
            }
            path.push(name.clone());
            for (name, value) in &model.params {
                params.entry(name.clone()).or_insert_with(|| value.clone());
            }
            said = said.or(CallLimits::of(model));
            deadline = deadline.or(model.deadline);
            match &model.rescue {
                Some(RescueSettings::Text(text)) => drop(rescue.get_or_insert(text.as_str())),
                Some(RescueSettings::Streams(mode)) => drop(rescue_mode.get_or_insert(*mode)),
                None => {}
            }
            match &model.made {
                Made::Of(next) => name.clone_from(next),
                Made::From(combination) => break Some(combination),
            }
        };
        Ok(Followed {
            stands_for: match combination {
                Some(combination) => StandsFor::Combination(combination),
                None => StandsFor::Plain(self.plain(&name, wire, from_user)),
            },
            params,
            limits: said.with_rescue(rescue_mode).or(limits),
            deadline,
            rescue,
            rescue_mode,
        })
    }

    /// A name as those who may ask only some models are judged by: a configured one, else provider/model.
    pub fn full_name(&self, name: &str, wire: Wire) -> String {
        if self.config.settings.models.contains_key(name) {
            return name.to_owned();
        }
        let Plain {
            provider, model, ..
        } = self.plain(name, wire, true);
        format!("{provider}/{model}")
    }

    /// Refuses the name of a model that nobody could ask for: neither configured nor known, nor of a provider that is. A name
    /// that ends in `*` stands for all that begin like it.
    ///
    /// # Errors
    /// [`ErrorKind::ModelNotFound`], with the nearest name.
    pub fn check_allowed_name(&self, name: &str) -> Result<(), Error> {
        let settings = &self.config.settings;
        let mut providers: Vec<&str> = dialects::PROVIDERS
            .iter()
            .map(|provider| provider.name)
            .chain([SIM])
            .collect();
        providers.extend(settings.providers.keys().map(String::as_str));
        let configured = || settings.models.keys().map(String::as_str);
        let catalog = self.catalog()?;
        let is_known = match (name.strip_suffix('*'), name.split_once('/')) {
            (_, Some((provider, model))) if !model.is_empty() && providers.contains(&provider) => {
                true
            }
            (Some(begin), _) => {
                let mut names = configured().chain(providers.iter().copied());
                names.any(|name| name.starts_with(begin))
                    || catalog.models().any(|entry| entry.model.starts_with(begin))
            }
            (None, _) => {
                let mut known = catalog.models().flat_map(|entry| entry.names());
                configured().any(|known| known == name) || known.any(|known| known == name)
            }
        };
        if is_known {
            return Ok(());
        }
        let word = name.trim_end_matches('*').split('/').next().unwrap_or(name);
        let near = nearest(word, configured().chain(providers.iter().copied()));
        let hint = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => "it is a configured name, provider/model, or a beginning of these and `*`"
                .to_owned(),
        };
        let message = format!("no model is known as {name:?}; {hint}");
        Err(Error::new(ErrorKind::ModelNotFound, message))
    }

    /// A name that is not configured, split into provider and model. Flags pin the provider of names `from_user`; what a
    /// configured name stands for is always provider/model.
    pub(super) fn plain(&self, name: &str, wire: Wire, from_user: bool) -> Plain {
        let pinned = self.options.provider.is_some() || self.options.base_url.is_some();
        let (provider, model) = match name.split_once('/') {
            // no flag says where a model is that the program brings
            Some((GIVEN, model)) if self.options.given.contains_key(model) => {
                (GIVEN.to_owned(), model)
            }
            None if self.options.given.contains_key(name) => (GIVEN.to_owned(), name),
            _ if pinned && from_user => {
                let provider = self.options.provider.as_deref();
                (provider.unwrap_or(wire.provider()).to_owned(), name)
            }
            Some((provider, model)) => (provider.to_owned(), model),
            None => {
                let provider = self.default_provider();
                (provider.unwrap_or_else(|| wire.provider().to_owned()), name)
            }
        };
        Plain {
            provider,
            model: model.to_owned(),
            is_bare: !pinned && !name.contains('/'),
        }
    }

    /// The provider of `default_model`, through configured names.
    fn default_provider(&self) -> Option<String> {
        let mut name = self.config.settings.default_model.as_ref()?;
        for _ in 0..self.config.settings.models.len() {
            match self.config.settings.models.get(name) {
                Some(model) => name = model.made.parts().first()?,
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
                .map(|(name, model)| (name, &model.made, &model.params))
                .collect::<Vec<_>>(),
            settings
                .providers
                .iter()
                .map(|(name, provider)| (name, &provider.dialect, &provider.base_url))
                .collect::<Vec<_>>(),
            base_urls.collect::<Vec<_>>(),
        )
    }

    /// Where a model's name looks like a configured one, which a slip of the finger has made a provider's.
    pub(super) fn near_configured(&self, model: &str) -> String {
        let configured = self.config.settings.models.keys();
        match nearest(model, configured.map(String::as_str)) {
            Some(near) => format!("; no model is configured as {model:?}: did you mean {near:?}?"),
            None => String::new(),
        }
    }

    pub(super) fn unknown_provider(&self, name: &str) -> Error {
        let configured = self.config.settings.providers.keys().map(String::as_str);
        let mut known: Vec<&str> = dialects::PROVIDERS
            .iter()
            .map(|provider| provider.name)
            .chain([SIM])
            .collect();
        known.extend(configured.filter(|name| dialects::provider(name).is_none() && *name != SIM));
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
