//! Names of models, and the models behind them.

mod accounts;
mod asked;
mod budget;
mod cache;
mod carbon;
mod compose;
mod continued;
mod defaults;
mod known;
mod lending;
mod library;
mod limits;
mod logged;
mod names;
mod per_call;
mod prices;
mod provider;
mod reach;
mod resolved;
mod slips;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use antiphon_core::{
    Clock, Dice, Error, ErrorKind, SharedModel, SystemClock, Usd,
    layers::{
        admit::Account, deadline::Deadline, meter::Metrics, spend::Budget, timeout::TimeoutConfig,
    },
    patterns::RescueMode,
    stack,
};
use antiphon_providers::{
    Endpoint,
    catalog::{Catalog, zones::Zone},
    dialects::{self, ParsedRequest},
    tokens::Counter,
    transport::HttpTransport,
};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    Config,
    config::{Combination, DeciderSettings},
    env::Lookup,
};
pub use accounts::NamedAccount;
pub(crate) use asked::{Asked, Target};
pub use cache::default_cache_dir;
pub(crate) use defaults::lay_beneath;
use limits::CallLimits;
use names::{Followed, Plain, StandsFor};
pub use per_call::PerCall;
use resolved::MadeOf;
pub use resolved::Resolved;

/// The provider that lives in this process.
const SIM: &str = "sim";

/// The provider of models that the program brings ([`SessionOptions::given`]).
pub const GIVEN: &str = "given";

/// Models that are kept. Callers of a gateway can make up names of a provider's without end; beyond this those that are
/// not configured are made anew when they are asked.
const MOST_MODELS: usize = 1024;

/// The longest name of a model that callers of a gateway may say, in bytes. Names are kept, and go into headers, logs and
/// pages.
pub const LONGEST_NAME: usize = 256;

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
    /// Where all models are computed, for estimates of energy and carbon.
    pub zone: Option<&'static Zone>,
    /// Retries of a call.
    pub max_retries: Option<u32>,
    /// Retries of a call where neither this session nor its model says.
    pub usual_max_retries: Option<u32>,
    /// Limit of one attempt.
    pub timeout: Option<Duration>,
    /// Longest Retry-After that is obeyed.
    pub max_wait: Option<Duration>,
    /// The most that the session's calls may cost. Every model then needs a price.
    pub budget: Option<Usd>,
    /// Requests may name who pays for them ([`ChatRequest::payer`](antiphon_core::ChatRequest::payer)); nothing is sent that
    /// the payer's budget does not cover.
    pub pays_by_caller: bool,
    /// Output cap of requests that name none, in tokens.
    pub max_output_tokens: Option<NonZeroU64>,
    /// Equal requests in flight share one call.
    pub coalesce: bool,
    /// Models that answer where the one before fails.
    pub fallback: Vec<String>,
    /// What becomes of streams that break, of models whose configuration does not say.
    pub rescue: RescueMode,
    /// Every request is put to an ensemble of so many samples of its model.
    pub ensemble: Option<(NonZeroU32, DeciderSettings)>,
    /// Every request is answered so many times, side by side.
    pub samples: Option<NonZeroU32>,
    /// Every call has a caller who waits for it, as behind a gateway: time limits, retries and waiting are short while
    /// another model of a chain remains, an endpoint that is down is not waited for, nothing is given up for ever, and
    /// what a provider refuses goes back as it came. See `docs/failover.md`.
    pub failover: bool,
    /// Nothing will be sent: keys that are missing are noted and not refused.
    pub is_dry: bool,
    /// File of prices in place of the configured or built-in ones.
    pub catalog: Option<PathBuf>,
    /// Models that the program brings, by the names after `given/`, which may be left out before a name that is not
    /// configured. They get layers like any other, but no time limits, and an account that is always open: how many calls one
    /// bears at once is its own to say. One that bears few is wrapped by
    /// [`queued`](antiphon_core::layers::queue::queued) or a queue that several share.
    pub given: BTreeMap<String, SharedModel>,
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
    budget: Option<Budget>,
    cache: cache::Shelf,
    catalog: Mutex<Option<Arc<Catalog>>>,
    transport: Mutex<Option<Arc<HttpTransport>>>,
    accounts: Mutex<accounts::Accounts>,
    models: Mutex<HashMap<(String, Wire), Arc<Resolved>>>,
    missing_keys: Mutex<BTreeSet<String>>,
    retiring: Mutex<known::Retiring>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the environment holds keys
        f.debug_struct("Session")
            .field("options", &self.options)
            .finish_non_exhaustive()
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
            budget: options.budget.map(budget::open),
            config,
            options,
            environment,
            clock: SystemClock::shared(),
            dice: Arc::new(Dice::new()),
            metrics: Metrics::new(),
            drain,
            cache: cache::Shelf::default(),
            catalog: Mutex::default(),
            transport: Mutex::default(),
            accounts: Mutex::default(),
            models: Mutex::default(),
            missing_keys: Mutex::default(),
            retiring: Mutex::default(),
        }
    }

    /// The clock of all its calls.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// What the session's calls have measured.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The accounts in use.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        lock(&self.accounts).in_use()
    }

    /// The keys that are missing, where nothing is sent and that is no error.
    pub(crate) fn missing_keys(&self) -> Vec<String> {
        lock(&self.missing_keys).iter().cloned().collect()
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
        let resolved = self.with_flags(name, wire)?;
        let mut models = lock(&self.models);
        if models.len() >= MOST_MODELS {
            models.retain(|(name, _), _| self.config.settings.models.contains_key(name));
            lock(&self.accounts).forget_unused();
        }
        models.insert(key, resolved.clone());
        Ok(resolved)
    }

    /// What a name means, below the flags that ask for several answers.
    fn named(
        &self,
        name: &str,
        wire: Wire,
        limits: CallLimits,
        path: &[String],
    ) -> Result<Arc<Resolved>, Error> {
        let is_whole = path.is_empty();
        let mut path = path.to_vec();
        let followed = self.follow(name, wire, limits, &mut path)?;
        let mut resolved = match &followed.stands_for {
            StandsFor::Plain(plain) => self.plain_model(plain, &followed)?,
            StandsFor::Combination(combination) => {
                self.combined_model(combination, name, wire, &followed, &path)?
            }
        };
        let is_chain = matches!(
            followed.stands_for,
            StandsFor::Combination(Combination::Fallback(_))
        );
        if !is_chain {
            // a part of a model is rescued as a part only where its own name says so
            let usual = limits.rescue.filter(|_| is_whole);
            let mode = followed.rescue_mode.or(usual).unwrap_or_default();
            resolved.model = compose::with_streams_rescued(resolved.model, mode);
            if let Some(text) = followed.rescue {
                resolved.model = self.rescued(name, resolved.model, text)?;
            }
        }
        resolved.model = self.within(resolved.model, followed.deadline);
        resolved.params = followed.params;
        Ok(Arc::new(resolved))
    }

    /// The model within the deadlines of its requests, and one of its own.
    fn within(&self, model: SharedModel, deadline: Option<Duration>) -> SharedModel {
        let clock = self.clock.clone();
        Arc::new(Deadline::of_requests(model, deadline, clock))
    }

    fn plain_model(&self, plain: &Plain, followed: &Followed<'_>) -> Result<Resolved, Error> {
        if plain.model.is_empty() {
            let message = format!("no model is named after {}/", plain.provider);
            return Err(Error::new(ErrorKind::ModelNotFound, message));
        }
        let (leaf, base_url, key, made_of): (SharedModel, _, _, _) = if plain.provider == SIM {
            self.check_sim(&plain.model)?;
            let leaf = Arc::new(self.sim(&plain.model)?);
            (leaf, String::new(), String::new(), MadeOf::Sim)
        } else if plain.provider == GIVEN {
            let leaf = self.given(&plain.model)?;
            (leaf, String::new(), String::new(), MadeOf::Given)
        } else {
            let mut config = self.endpoint(plain)?;
            let limits = &followed.limits;
            limits.lay_on(&mut config, self.options.failover);
            let made_of = MadeOf::Endpoint {
                dialect: config.dialect,
                version: config.version.clone(),
            };
            let base_url = config.base_url.clone();
            let key = config.key.as_ref().map_or("", |key| key.expose_secret());
            let key = key.to_owned();
            let leaf = Endpoint::new(config, self.transport()?, self.clock.clone())?;
            (Arc::new(leaf), base_url, key, made_of)
        };
        let of_dialect = match &made_of {
            MadeOf::Endpoint { dialect, .. } => dialect.usual_output_cap(),
            _ => None,
        };
        let usual_cap = self.usual_output_cap().or(of_dialect);
        let target = [plain.provider.clone(), base_url, plain.model.clone()];
        let account = self.account(&target, &key, &plain.provider);
        let leaf = logged::logged(leaf, self.clock.clone());
        let over_wire = matches!(made_of, MadeOf::Endpoint { .. });
        let mut config = self.stack_config(followed.limits, &target, over_wire);
        if matches!(made_of, MadeOf::Given) {
            // it has limits of its own: a person may have to agree to each call
            config.timeout = TimeoutConfig::unlimited();
        }
        let rates = self.rates(&plain.provider, &plain.model)?;
        config.rates = Some(rates.clone());
        let asked = Target {
            name: format!("{}/{}", plain.provider, plain.model),
            rates,
            counter: Counter::for_model(&plain.provider, &plain.model),
            account: self.account_config(&plain.provider),
            usual_cap,
        };
        self.check_priced(plain, config.rates.as_deref())?;
        self.note_retirement(plain, &*self.catalog()?);
        Ok(Resolved {
            model: stack::stack(leaf, &config, &account, &self.metrics),
            params: Map::new(),
            is_made_of_parts: false,
            width: 1,
            decides_by_deadline: false,
            target: target.to_vec(),
            known_by: Map::new(),
            made_of,
            asked: vec![Asked::once(Arc::new(asked))],
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
