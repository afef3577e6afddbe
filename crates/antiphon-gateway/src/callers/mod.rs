//! Who asks, and what they may: the `[[keys]]` of the configuration.
//!
//! ```text
//! headers ──> presented (which key) ──> Callers::identify ──> Caller: models, requests and tokens per minute, money per day
//!                                                                │ shares and budgets
//!                                                                v
//!                                       CallerBooks: what each has used; outlives a reload, the money also a crash
//! ```

mod books;
mod day;
mod guard;
mod key;
mod limits;
mod local;
mod presented;
mod state;
mod unlimited;

use std::{fmt, sync::Arc};

use antiphon::{
    ChatRequest, Config, ConfigError, Error, ErrorKind, Session, Usd,
    config::{KeyHash, KeySettings},
    core::{
        chat::RateLimits,
        layers::{
            admit::{Allowance, AllowanceConfig, Share},
            spend::{Budget, BudgetSnapshot},
        },
    },
    env::Lookup,
};
use http::{HeaderMap, StatusCode};

pub use books::CallerBooks;
pub(crate) use guard::guard;
pub use key::NewKey;
pub(crate) use local::{Pages, check as check_local};
pub(crate) use state::CallerBudget;
pub use state::CallerState;

/// The callers that are known.
#[derive(Debug)]
pub(crate) struct Callers {
    known: Vec<Arc<Caller>>,
    /// Whoever asks where no keys are used.
    everybody: Arc<Caller>,
}

impl Callers {
    /// No keys: whoever reaches the server may ask.
    pub(crate) fn everybody() -> Self {
        Self {
            known: Vec::new(),
            everybody: Arc::new(Caller::everybody()),
        }
    }

    /// Those of a configuration. What they have used so far is in the books, of which nothing changes before
    /// [`Self::take_effect`].
    ///
    /// # Errors
    /// A variable is not set or holds no usable key, two keys are equal, a model that a key may use is not known, or what was
    /// spent today cannot be read.
    pub(crate) fn of(
        config: &Config,
        session: &Session,
        env: Lookup<'_>,
        books: &Arc<CallerBooks>,
    ) -> Result<Self, ConfigError> {
        let mut callers = Self::everybody();
        for settings in &config.settings.keys {
            callers.add(settings, Caller::of(settings, session, env, books)?)?;
        }
        Ok(callers)
    }

    fn add(&mut self, settings: &KeySettings, caller: Caller) -> Result<(), ConfigError> {
        let same = |other: &&Arc<Caller>| other.hash == caller.hash;
        if let Some(other) = self.known.iter().find(same) {
            let (place, name, other) = (&settings.place, &settings.name, &other.name());
            let other = other.map_or("", |name| name);
            let message = format!("{place}: the keys {name:?} and {other:?} are the same key");
            return Err(ConfigError(message));
        }
        self.known.push(Arc::new(caller));
        Ok(())
    }

    /// Gives each the limits and the budget of its configuration, which is in force from now on.
    pub(crate) fn take_effect(&self) {
        self.known.iter().for_each(|caller| caller.take_effect());
    }

    /// Whether keys are used. Without any, everybody who reaches the server is let in.
    pub(crate) fn are_used(&self) -> bool {
        !self.known.is_empty()
    }

    /// Those who have keys, as they are now.
    pub(crate) fn states(&self) -> Vec<CallerState> {
        self.known.iter().map(|caller| caller.state()).collect()
    }

    /// The budgets of today, of those who have one.
    pub(crate) fn budgets(&self) -> Vec<CallerBudget> {
        self.states().iter().filter_map(CallerBudget::of).collect()
    }

    /// The caller of a request, by its key.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] with status 401: no key, or none that is known.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Error> {
        if !self.are_used() {
            return Ok(Arc::clone(&self.everybody));
        }
        let key = presented::presented(headers)?;
        self.find(key.bytes)
            .ok_or_else(|| presented::unknown(key.header))
    }

    /// The caller of a page: browsers give a key as the password of any user.
    ///
    /// # Errors
    /// As [`Self::identify`].
    pub(crate) fn identify_reader(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Error> {
        match presented::password(headers).filter(|_| self.are_used()) {
            Some(key) => self
                .find(&key)
                .ok_or_else(|| presented::unknown("the password")),
            None => self.identify(headers),
        }
    }

    /// Whether whoever sends this may see pages about the gateway itself: an admin, or everybody where no keys are used.
    pub(crate) fn may_see_pages(&self, headers: &HeaderMap) -> bool {
        self.identify_reader(headers)
            .is_ok_and(|reader| reader.is_admin())
    }

    fn find(&self, key: &[u8]) -> Option<Arc<Caller>> {
        let hash = key::hash_of(key);
        // all are compared, so that the time tells nothing of which one it was
        let found = self.known.iter().fold(None, |found, caller| {
            match key::are_equal(&caller.hash, &hash) {
                true => Some(caller),
                false => found,
            }
        });
        found.cloned()
    }
}

/// The digest of a key that is configured.
fn hash_in(settings: &KeySettings, env: Lookup<'_>) -> Result<KeyHash, ConfigError> {
    Ok(match settings.key(env)? {
        Some(key) => key::hash_of(key.as_bytes()),
        // the configuration has seen to it that one of the two is there
        None => settings.key_sha256.unwrap_or(KeyHash([0; 32])),
    })
}

/// Somebody who asks.
pub(crate) struct Caller {
    name: Option<Arc<str>>,
    hash: KeyHash,
    models: Option<Vec<String>>,
    is_admin: bool,
    allowance: Option<Arc<Allowance>>,
    limits: AllowanceConfig,
    /// The most for a day.
    budget: Option<Usd>,
    /// `None` for everybody.
    books: Option<Arc<CallerBooks>>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("name", &self.name)
            .field("models", &self.models)
            .field("is_admin", &self.is_admin)
            .finish_non_exhaustive()
    }
}

impl Caller {
    fn everybody() -> Self {
        Self {
            name: None,
            hash: KeyHash([0; 32]),
            models: None,
            is_admin: true,
            allowance: None,
            limits: AllowanceConfig::default(),
            budget: None,
            books: None,
        }
    }

    fn of(
        settings: &KeySettings,
        session: &Session,
        env: Lookup<'_>,
        books: &Arc<CallerBooks>,
    ) -> Result<Self, ConfigError> {
        let name: Arc<str> = settings.name.as_str().into();
        let refuse = |error: Error| {
            let (place, words) = (&settings.place, error.message());
            ConfigError(format!("{place}: the key {name:?}: {words}"))
        };
        for model in settings.models.iter().flatten() {
            session.check_allowed_name(model).map_err(refuse)?;
        }
        let hash = hash_in(settings, env)?;
        let limits = AllowanceConfig {
            rpm: settings.rpm,
            tpm: settings.tpm,
        };
        if settings.budget_usd_per_day.is_some() {
            books.check(&name).map_err(refuse)?;
        }
        Ok(Self {
            hash,
            models: settings.models.clone(),
            is_admin: settings.admin,
            allowance: books.allowance(&name, limits),
            limits,
            budget: settings.budget_usd_per_day,
            books: Some(Arc::clone(books)),
            name: Some(name),
        })
    }

    fn take_effect(&self) {
        let (Some(name), Some(books)) = (&self.name, &self.books) else {
            return;
        };
        if let Some(allowance) = &self.allowance {
            books.set_limits(name, allowance, self.limits);
        }
        if let Some(cap) = self.budget {
            books.set_cap(name, cap);
        }
    }

    /// The name of its key; `None` where no keys are used.
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// Whether it may see the dashboard and the metrics. Without keys everybody may.
    pub(crate) fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// Refuses models that are not the caller's to use. `name` is what it asked for, `full` the same with its provider.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] with status 403, with the models that it may use.
    pub(crate) fn may_use(&self, name: &str, full: impl FnOnce() -> String) -> Result<(), Error> {
        let Some(allowed) = &self.models else {
            return Ok(());
        };
        let is_allowed = |name: &str| {
            let fits = |entry: &String| match entry.strip_suffix('*') {
                Some(begin) => name.starts_with(begin),
                None => entry == name,
            };
            allowed.iter().any(fits)
        };
        if is_allowed(name) || is_allowed(&full()) {
            return Ok(());
        }
        let message = format!(
            "the key {:?} may not use {name:?}; it may use {}",
            self.name().map_or("", |name| name),
            allowed.join(", ")
        );
        Err(Error::new(ErrorKind::Auth, message).with_status(StatusCode::FORBIDDEN.as_u16()))
    }

    /// The budget that pays for its calls: that of the day.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`]: what was spent today cannot be read.
    pub(crate) fn payer(&self) -> Result<Option<Budget>, Error> {
        match (&self.name, self.budget, &self.books) {
            (Some(name), Some(cap), Some(books)) => books.budget(name, cap).map(Some),
            _ => Ok(None),
        }
    }

    fn budget_now(&self) -> Option<BudgetSnapshot> {
        let (name, books) = (self.name.as_ref()?, self.books.as_ref()?);
        Some(books.look(name, self.budget?))
    }

    fn state(&self) -> CallerState {
        CallerState {
            name: self.name.clone().unwrap_or_default(),
            is_admin: self.is_admin,
            models: self.models.clone(),
            limits: self.limits().unwrap_or_default(),
            budget: self.budget_now(),
        }
    }

    /// Its share of the minute for this request; `None` where it has no limits.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`] with status 429: the minute is used up. It tells when to come again.
    pub(crate) fn take(&self, request: &ChatRequest) -> Result<Option<Share>, Error> {
        let Some(allowance) = &self.allowance else {
            return Ok(None);
        };
        let name = self.name().map_or("", |name| name);
        let share = allowance.take(request);
        share
            .map(Some)
            .map_err(|exceeded| limits::refused(name, exceeded))
    }

    /// Its limits and what is left of them.
    pub(crate) fn limits(&self) -> Option<RateLimits> {
        Some(self.allowance.as_ref()?.limits())
    }

    /// Tells its limits in the headers of an answer in this wire format.
    pub(crate) fn tell_limits(&self, wire: &str, headers: &mut HeaderMap) {
        if let (Some(books), Some(limits)) = (&self.books, self.limits()) {
            limits::tell(&limits, wire, books.wall(), headers);
        }
    }
}
