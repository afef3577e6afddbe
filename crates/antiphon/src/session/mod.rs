//! Names of models, and the models behind them.

mod cache;
mod library;
mod logged;
mod names;
mod provider;

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use antiphon_core::{
    ChatRequest, Clock, Dice, Error, ErrorKind, SharedModel, SystemClock,
    layers::{
        admit::{Account, AccountConfig, QuotaConfig},
        coalesce::CoalesceConfig,
        meter::Metrics,
        timeout::TimeoutConfig,
    },
    stack::{self, StackConfig},
};
use antiphon_providers::{
    Endpoint,
    dialects::{self, Dialect, EncodeTarget, ParsedRequest},
    transport::HttpTransport,
};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{Config, env::Lookup};
pub use cache::default_cache_dir;
use names::Followed;

/// The provider that lives in this process.
const SIM: &str = "sim";

/// The wire format a request came in, which decides the provider of a model name without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// OpenAI chat completions.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
}

impl Wire {
    fn provider(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    /// Reads a request in this wire format.
    ///
    /// # Errors
    /// The fields that every request needs are missing or of a wrong type.
    pub fn parse(self, fields: Map<String, Value>) -> Result<ParsedRequest, Error> {
        match dialects::dialect(self.provider()) {
            Some(dialect) => dialect.parse_request(fields),
            None => Err(Error::new(ErrorKind::InvalidLine, "no such wire format")),
        }
    }
}

/// Settings that flags lay over the configuration.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// Provider of names that are not configured.
    pub provider: Option<String>,
    /// Base URL in place of the provider's.
    pub base_url: Option<String>,
    /// Upper bound of calls in flight on each account.
    pub concurrency: Option<NonZeroU32>,
    /// Requests per minute of each account.
    pub rpm: Option<u64>,
    /// Tokens per minute of each account.
    pub tpm: Option<u64>,
    /// Input tokens per minute of each account.
    pub itpm: Option<u64>,
    /// Output tokens per minute of each account.
    pub otpm: Option<u64>,
    /// Retries of a call.
    pub max_retries: Option<u32>,
    /// Retries of a call where neither this session nor its model says.
    pub usual_max_retries: Option<u32>,
    /// Limit of one attempt.
    pub timeout: Option<Duration>,
    /// Longest Retry-After that is obeyed.
    pub max_wait: Option<Duration>,
    /// Equal requests in flight share one call.
    pub coalesce: bool,
}

/// Named models with their stacks, and the accounts they share.
pub struct Session {
    config: Config,
    options: SessionOptions,
    environment: BTreeMap<String, String>,
    clock: Arc<dyn Clock>,
    dice: Arc<Dice>,
    metrics: Arc<Metrics>,
    drain: CancellationToken,
    cache: cache::Shelf,
    transport: Mutex<Option<Arc<HttpTransport>>>,
    accounts: Mutex<HashMap<[String; 4], Arc<Account>>>,
    models: Mutex<HashMap<(String, Wire), Arc<Resolved>>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the environment holds keys
        f.debug_struct("Session")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A model name's meaning.
#[derive(Debug)]
pub struct Resolved {
    /// The model with its whole stack.
    pub model: SharedModel,
    /// Parameters that the configuration gives it.
    pub params: Map<String, Value>,
    target: [String; 3],
    wire: Option<(&'static dyn Dialect, Option<String>)>,
}

impl Resolved {
    /// Provider, base URL and model: the part of a fingerprint that is not in the request.
    pub fn target(&self) -> [&str; 3] {
        [&self.target[0], &self.target[1], &self.target[2]]
    }

    /// Refuses a request that cannot be put to its target at all, such as one whose schema it cannot express.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`].
    pub fn check(&self, request: &ChatRequest) -> Result<(), Error> {
        self.dropped_from(request).map(drop)
    }

    /// The parameters of a request that the target cannot take.
    fn dropped_from(&self, request: &ChatRequest) -> Result<Vec<String>, Error> {
        // the simulated provider takes everything
        let Some((dialect, version)) = &self.wire else {
            return Ok(Vec::new());
        };
        let target = EncodeTarget {
            provider: &self.target[0],
            model: &self.target[2],
            version: version.as_deref(),
        };
        Ok(dialect.encode(request, &target)?.dropped)
    }

    /// Refuses a request of which a parameter would be left out.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`] that names the parameters.
    pub fn refuse_dropped(&self, request: &ChatRequest) -> Result<(), Error> {
        let dropped = self.dropped_from(request)?;
        if dropped.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::BadRequest,
            format!("{} cannot take {}", self.model.name(), dropped.join(", ")),
        ))
    }
}

impl Session {
    /// A session over a configuration and environment. `drain` stops what has not been sent.
    pub fn new(
        config: Config,
        options: SessionOptions,
        env: Lookup<'_>,
        drain: CancellationToken,
    ) -> Self {
        let mut names: Vec<String> = crate::env::VARIABLES
            .iter()
            .flat_map(|variable| [variable.name.to_owned(), variable.name.to_lowercase()])
            .collect();
        let providers = config.settings.providers.values();
        names.extend(providers.filter_map(|provider| provider.api_key_env.clone()));
        let environment = names
            .into_iter()
            .filter_map(|name| Some((name.clone(), env(&name)?)))
            .collect();
        Self {
            config,
            options,
            environment,
            clock: SystemClock::shared(),
            dice: Arc::new(Dice::new()),
            metrics: Metrics::new(),
            drain,
            cache: cache::Shelf::default(),
            transport: Mutex::default(),
            accounts: Mutex::default(),
            models: Mutex::default(),
        }
    }

    /// What the session's calls have measured.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The accounts in use.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        lock(&self.accounts).values().cloned().collect()
    }

    /// The model of rows that name none.
    pub fn default_model(&self) -> Option<String> {
        self.config.settings.default_model.clone()
    }

    /// The model behind a name.
    ///
    /// # Errors
    /// [`ErrorKind::ModelNotFound`] for an unknown provider, with the nearest names; [`ErrorKind::Auth`] when its key is
    /// missing; [`ErrorKind::BadRequest`] for a configuration that cannot work.
    pub fn resolve(&self, name: &str, wire: Wire) -> Result<Arc<Resolved>, Error> {
        let key = (name.to_owned(), wire);
        if let Some(resolved) = lock(&self.models).get(&key) {
            return Ok(resolved.clone());
        }
        let resolved = Arc::new(self.build(self.follow(name, wire)?)?);
        lock(&self.models).insert(key, resolved.clone());
        Ok(resolved)
    }

    fn build(&self, followed: Followed) -> Result<Resolved, Error> {
        if followed.model.is_empty() {
            let message = format!("no model is named after {}/", followed.provider);
            return Err(Error::new(ErrorKind::ModelNotFound, message));
        }
        let provider = followed.provider.as_str();
        let (leaf, base_url, key, wire): (SharedModel, _, _, _) = if provider == SIM {
            let leaf = Arc::new(self.sim(&followed.model)?);
            (leaf, String::new(), String::new(), None)
        } else {
            let config = self.endpoint(&followed)?;
            let wire = Some((config.dialect, config.version.clone()));
            let base_url = config.base_url.clone();
            let key = config.key.as_ref().map_or("", |key| key.expose_secret());
            let key = key.to_owned();
            let leaf = Endpoint::new(config, self.transport()?, self.clock.clone())?;
            (Arc::new(leaf), base_url, key, wire)
        };
        let target = [followed.provider.clone(), base_url, followed.model.clone()];
        let account = self.account(&target, &key, &followed.provider);
        let mut config = StackConfig {
            coalesce: self.options.coalesce.then(CoalesceConfig::default),
            cache: self.cache_of(&target),
            drain: self.drain.clone(),
            ..StackConfig::default()
        };
        if let Some(cache) = &config.cache {
            config.coalesce = Some(cache.coalesce());
        }
        let timeout = self.options.timeout.or(followed.timeout);
        if let Some(total) = timeout {
            config.timeout = TimeoutConfig {
                total,
                ..TimeoutConfig::default()
            };
        }
        let max_retries = self
            .options
            .max_retries
            .or(followed.max_retries)
            .or(self.options.usual_max_retries);
        if let Some(max_retries) = max_retries {
            config.retry.max_retries = max_retries;
        }
        Ok(Resolved {
            model: stack::stack(
                logged::logged(leaf, self.clock.clone()),
                &config,
                &account,
                &self.metrics,
            ),
            params: followed.params,
            target,
            wire,
        })
    }

    fn account(&self, target: &[String; 3], key: &str, provider: &str) -> Arc<Account> {
        let [a, b, c] = target.clone();
        let mut accounts = lock(&self.accounts);
        let account = accounts
            .entry([a, b, c, key.to_owned()])
            .or_insert_with(|| {
                let settings = self
                    .config
                    .settings
                    .providers
                    .get(provider)
                    .cloned()
                    .unwrap_or_default();
                let options = &self.options;
                let mut config = AccountConfig {
                    quota: QuotaConfig {
                        rpm: options.rpm.or(settings.rpm),
                        tpm: options.tpm.or(settings.tpm),
                        itpm: options.itpm.or(settings.itpm),
                        otpm: options.otpm.or(settings.otpm),
                    },
                    ..AccountConfig::default()
                };
                config.concurrency = options.concurrency.or(settings.concurrency);
                if let Some(max_wait) = options.max_wait {
                    config.max_wait = max_wait;
                }
                Account::new(config, self.clock.clone(), self.dice.clone())
            });
        account.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
