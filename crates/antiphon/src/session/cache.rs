//! The response cache of a session.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use antiphon_core::{
    Fingerprint,
    layers::cache::{CacheConfig, ResponseCache},
};
use antiphon_store::{Bounds, DiskCache};

use super::Session;
use crate::{
    config::ProviderConfig,
    env::{Lookup, XDG_CACHE_HOME},
};

/// Where a session keeps answers, if it does.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    store: Option<Arc<dyn ResponseCache>>,
    /// The same where it is the user's cache, which has things to say.
    disk: Option<Arc<DiskCache>>,
    /// Why there is no cache although one was asked for: told once.
    refused: std::sync::Mutex<Option<String>>,
}

impl Shelf {
    /// The same for another session.
    pub(super) fn shared(&self) -> Self {
        Self {
            store: self.store.clone(),
            disk: self.disk.clone(),
            ..Self::default()
        }
    }
}

impl Session {
    /// Keeps valid answers in this folder, and gives them again to equal requests, also of later sessions: for 30 days,
    /// up to 1 GiB. Equal calls in flight then share one. Models that have been resolved already are not changed.
    ///
    /// A cache that cannot be used fails nothing: [`Self::cache_notes`] says why, and calls are made as without it.
    #[must_use]
    pub fn cache_dir(mut self, folder: impl AsRef<Path>) -> Self {
        let path = folder.as_ref().join(DiskCache::FILE);
        self.cache = match DiskCache::open(&path, Bounds::default()) {
            Ok(disk) => {
                let disk = Arc::new(disk);
                Shelf {
                    store: Some(disk.clone()),
                    disk: Some(disk),
                    ..Shelf::default()
                }
            }
            Err(error) => Shelf {
                refused: std::sync::Mutex::new(Some(error.to_string())),
                ..Shelf::default()
            },
        };
        self
    }

    /// Keeps valid answers in this store in place of a cache: what a job remembers of its calls. As with
    /// [`Self::cache_dir`], models that have been resolved already are not changed.
    #[must_use]
    pub fn with_memory(mut self, store: Arc<dyn ResponseCache>) -> Self {
        self.cache = Shelf {
            store: Some(store),
            ..Shelf::default()
        };
        self
    }

    /// What went wrong with the cache since the last time this was asked, for people.
    pub fn cache_notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = super::lock(&self.cache.refused)
            .take()
            .into_iter()
            .collect();
        if let Some(disk) = &self.cache.disk {
            notes.extend(disk.take_notes());
        }
        notes
    }

    /// How the answers of a target are kept. Their key covers all that decides about them: provider, base URL, model and
    /// request, and what the configuration says of the provider (wire format, version, headers, the simulator's seed).
    pub(super) fn cache_of(&self, target: &[String; 3]) -> Option<CacheConfig> {
        let store = self.cache.store.clone()?;
        let mut parts = target.to_vec();
        parts.push(self.manner_of(&target[0]));
        Some(CacheConfig::new(store, move |request| {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            Fingerprint::of(&parts, request)
        }))
    }

    /// What the configuration says of how a provider is asked. Keys, organisations and limits decide about no answer.
    fn manner_of(&self, provider: &str) -> String {
        let settings = self.config.settings.providers.get(provider).cloned();
        let ProviderConfig {
            dialect,
            version,
            headers,
            sim,
            ..
        } = settings.unwrap_or_default();
        let sim = (sim.seed, sim.accuracy, sim.fail);
        format!("{dialect:?} {version:?} {headers:?} {sim:?}")
    }
}

/// The folder of the cache where none is named: `$XDG_CACHE_HOME/antiphon`, else `~/.cache/antiphon`.
pub fn default_cache_dir(env: Lookup<'_>) -> Option<PathBuf> {
    // the XDG base directory specification: a path that is not absolute is to be ignored
    let named = env(XDG_CACHE_HOME).map(PathBuf::from);
    let folder = match named.filter(|folder| folder.is_absolute()) {
        Some(folder) => folder,
        None => etcetera::home_dir().ok()?.join(".cache"),
    };
    Some(folder.join("antiphon"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_that_of_the_xdg_specification() {
        let folder =
            |named: Option<&str>| default_cache_dir(&|_| named.map(str::to_owned)).unwrap();
        assert_eq!(folder(Some("/x")), Path::new("/x/antiphon"));
        assert!(folder(None).ends_with(".cache/antiphon"));
        assert_eq!(folder(Some("relative")), folder(None));
    }
}
