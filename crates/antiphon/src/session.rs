//! Names of models, and the models behind them.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
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
    Endpoint, EndpointConfig,
    dialects::{self, Dialect, EncodeTarget, ParsedRequest},
    transport::{HttpTransport, Misconfigured, ProxyConfig, Target, TransportConfig},
};
use antiphon_sim::{SimConfig, SimModel};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{Config, env::Lookup, nearest};

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

/// A name followed to its provider, with what configured names on the way said.
struct Followed {
    provider: String,
    model: String,
    params: Map<String, Value>,
    timeout: Option<Duration>,
    max_retries: Option<u32>,
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

    fn follow(&self, name: &str, wire: Wire) -> Result<Followed, Error> {
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
            drain: self.drain.clone(),
            ..StackConfig::default()
        };
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
            model: stack::stack(leaf, &config, &account, &self.metrics),
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

    fn sim(&self, model: &str) -> Result<SimModel, Error> {
        let settings = self.config.settings.providers.get(SIM);
        let config = settings.map_or_else(
            || Ok(SimConfig::default()),
            |provider| provider.sim.config(),
        );
        let config =
            config.map_err(|error| Error::new(ErrorKind::BadRequest, error.to_string()))?;
        Ok(SimModel::new(model, config, self.clock.clone()))
    }

    fn env(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// The endpoint of a name, from the provider's row, the configuration, the environment and the flags.
    fn endpoint(&self, followed: &Followed) -> Result<EndpointConfig, Error> {
        let name = followed.provider.as_str();
        let known = dialects::provider(name);
        let settings = self.config.settings.providers.get(name).cloned();
        if known.is_none() && settings.is_none() && self.options.base_url.is_none() {
            return Err(self.unknown_provider(name));
        }
        let settings = settings.unwrap_or_default();
        let refuse = |message: String| Error::new(ErrorKind::BadRequest, message);
        let dialect: &'static dyn Dialect = match (&settings.dialect, known) {
            (Some(dialect), _) => dialects::dialect(dialect).ok_or_else(|| {
                refuse(format!("providers.{name}.dialect: no dialect is called {dialect:?}; there are openai and anthropic"))
            })?,
            (None, Some(provider)) => provider.dialect,
            (None, None) => dialects::dialect("openai")
                .ok_or_else(|| refuse("no dialect for openai".to_owned()))?,
        };
        let base_url = self
            .options
            .base_url
            .as_deref()
            .or_else(|| known.and_then(|provider| self.env(provider.base_url_env?)))
            .or(settings.base_url.as_deref())
            .or(known.map(|provider| provider.base_url))
            .ok_or_else(|| refuse(format!("providers.{name} has no base_url")))?
            .trim_end_matches('/')
            .to_owned();
        let target = Target::parse(&base_url).map_err(|error| refuse(error.to_string()))?;
        let key_env = settings
            .api_key_env
            .as_deref()
            .or(known.and_then(|provider| provider.key_env));
        let key = key_env
            .and_then(|variable| self.env(variable))
            .map(str::to_owned);
        if key.is_none() && !is_private(target.host()) {
            return Err(Error::new(
                ErrorKind::Auth,
                match key_env {
                    Some(variable) => format!("no API key for {name}: set {variable}"),
                    None => format!(
                        "no API key for {name}: name its variable as api_key_env in [providers.{name}]"
                    ),
                },
            ));
        }
        let mut headers = HeaderMap::new();
        let named = known.map_or(&[][..], |provider| provider.header_envs);
        let from_env = named.iter().filter_map(|(variable, header)| {
            Some(((*header).to_owned(), self.env(variable)?.to_owned()))
        });
        for (name, value) in from_env.chain(settings.headers) {
            let wrong = |_| {
                refuse(format!(
                    "the header {name:?} of {} cannot be sent",
                    followed.provider
                ))
            };
            let header = HeaderName::try_from(&name).map_err(|_| wrong(()))?;
            headers.insert(header, HeaderValue::try_from(value).map_err(|_| wrong(()))?);
        }
        Ok(EndpointConfig {
            provider: name.to_owned(),
            model: followed.model.clone(),
            dialect,
            base_url,
            key: key.map(SecretString::from),
            headers,
            version: settings.version,
            connect_timeout: None,
            idle_timeout: None,
        })
    }

    fn unknown_provider(&self, name: &str) -> Error {
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

    fn transport(&self) -> Result<Arc<HttpTransport>, Error> {
        let mut transport = lock(&self.transport);
        if let Some(transport) = &*transport {
            return Ok(transport.clone());
        }
        let refuse = |error: Misconfigured| Error::new(ErrorKind::BadRequest, error.to_string());
        let proxy =
            ProxyConfig::from_lookup(|name| self.env(name).map(str::to_owned)).map_err(refuse)?;
        let made = Arc::new(HttpTransport::new(
            TransportConfig::default().with_proxy(proxy),
        ));
        *transport = Some(made.clone());
        Ok(made)
    }
}

/// Whether a host is this machine or a private network, where servers without keys are usual.
fn is_private(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Err(_) => host == "localhost" || !host.contains('.') || host.ends_with(".local"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
