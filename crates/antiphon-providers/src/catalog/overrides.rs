//! What the user knows better: single values laid over the catalogue, and models it does not know.

use std::sync::Arc;

use antiphon_core::account::price::Prices;

use super::{Catalog, CatalogError, Entry, entry::TimedPrices};

/// Values of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// Provider of the model.
    pub provider: String,
    /// Its name.
    pub model: String,
    /// Where this stands, for messages and lists.
    pub place: String,
    /// Another model, provider/model, whose values it has where nothing else is told.
    pub like: Option<String>,
    /// Prices. They hold at every time and in every tier.
    pub prices: Prices,
    /// Other names of it.
    pub aliases: Vec<String>,
    /// Tokens that fit into it.
    pub context_window: Option<u64>,
}

impl Catalog {
    /// With values of the user's laid over it, one by one: what they do not tell stays. A name that is known as a snapshot
    /// or alias becomes a model of its own.
    ///
    /// # Errors
    /// A new model has prices, but not all that are needed; `like` names no model of the catalogue.
    pub fn with_overrides(
        &self,
        overrides: impl IntoIterator<Item = Override>,
    ) -> Result<Self, CatalogError> {
        let mut catalog = self.clone();
        for one in overrides {
            let wrong = |why: String| {
                let Override {
                    provider, model, ..
                } = &one;
                CatalogError(format!("{}: {provider}/{model}: {why}", one.place))
            };
            let mut entry = self.base_of(&one).map_err(wrong)?;
            entry.lay_over(&one);
            entry.prepare().map_err(wrong)?;
            catalog.replace(entry);
        }
        Ok(catalog)
    }

    /// What is known before: of the model that it is like, else of the one that its name finds.
    fn base_of(&self, one: &Override) -> Result<Entry, String> {
        let known = match &one.like {
            Some(like) => {
                let found = like
                    .split_once('/')
                    .and_then(|(provider, model)| self.find(provider, model));
                Some(found.ok_or_else(|| format!("like: no model is known as {like:?}"))?)
            }
            None => self.find(&one.provider, &one.model),
        };
        let known = known.map(Arc::as_ref);
        let is_itself = |known: &Entry| {
            known.provider == one.provider && known.model.eq_ignore_ascii_case(&one.model)
        };
        Ok(match known {
            Some(known) if is_itself(known) => known.clone(),
            Some(known) => Entry {
                provider: one.provider.clone(),
                model: one.model.clone(),
                aliases: Vec::new(),
                ..known.clone()
            },
            None => Entry {
                provider: one.provider.clone(),
                model: one.model.clone(),
                ..Entry::default()
            },
        })
    }
}

impl Entry {
    fn lay_over(&mut self, one: &Override) {
        if one.prices != Prices::default() {
            if self.prices.is_empty() {
                self.prices.push(TimedPrices::default());
            }
            self.prices
                .iter_mut()
                .for_each(|timed| timed.overridden(one.prices));
            self.is_users = true;
        }
        self.context_window = one.context_window.or(self.context_window);
        for alias in &one.aliases {
            if !self.aliases.contains(alias) {
                self.aliases.push(alias.clone());
            }
        }
        self.source.clone_from(&one.place);
        self.as_of = None;
    }
}
