//! The state behind all routes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use antiphon::{
    Config, ConfigError, Error, Session, SystemClock, env::Lookup, session::SessionOptions,
};
use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::{
    callers::{CallerBooks, CallerState, Callers},
    calls::Calls,
    dashboard::Dashboard,
    observe::{GatewayMetrics, Observer},
};

/// What a configuration makes, as one value: it is replaced as a whole when the configuration is read again, and calls
/// under way go on with the one they began with.
#[derive(Debug)]
pub struct Running {
    /// The models.
    pub session: Session,
    /// Who may ask them.
    pub(crate) callers: Callers,
}

impl Running {
    /// A session for everybody who can reach the server.
    pub fn open_to_all(session: Session) -> Self {
        Self {
            session,
            callers: Callers::everybody(),
        }
    }

    /// What a configuration says. Where it has no keys, everybody who can reach the server is let in. Once `drain` is
    /// cancelled, nothing more is sent to providers.
    ///
    /// # Errors
    /// A key cannot be used, with its place in the configuration.
    pub fn configured(
        config: Config,
        mut options: SessionOptions,
        env: Lookup<'_>,
        drain: CancellationToken,
        books: &Arc<CallerBooks>,
    ) -> Result<Self, ConfigError> {
        options.pays_by_caller = pays_by_caller(&config, books)?;
        let session = Session::new(config.clone(), options, env, drain);
        Self::checked(session, &config, env, books)
    }

    /// What another configuration says: what has been learned and used goes on where it still counts.
    ///
    /// # Errors
    /// A key or model cannot be used, with its place in the configuration. Nothing has changed then.
    pub fn continued(
        &self,
        config: Config,
        mut options: SessionOptions,
        env: Lookup<'_>,
        books: &Arc<CallerBooks>,
    ) -> Result<Self, ConfigError> {
        options.pays_by_caller = pays_by_caller(&config, books)?;
        let session = self.session.continued(config.clone(), options, env);
        let session = session.map_err(|error| ConfigError(error.message().to_owned()))?;
        Self::checked(session, &config, env, books)
    }

    fn checked(
        session: Session,
        config: &Config,
        env: Lookup<'_>,
        books: &Arc<CallerBooks>,
    ) -> Result<Self, ConfigError> {
        let unusable = |error: Error| ConfigError(error.message().to_owned());
        session.check().map_err(unusable)?;
        let callers = Callers::of(config, &session, env, books)?;
        Ok(Self { session, callers })
    }

    /// Those who have keys, and what they have used.
    pub fn callers(&self) -> Vec<CallerState> {
        self.callers.states()
    }

    /// Whether callers need keys.
    pub fn needs_keys(&self) -> bool {
        self.callers.are_used()
    }
}

/// Whether any key has a budget, for which the books must be open.
fn pays_by_caller(config: &Config, books: &CallerBooks) -> Result<bool, ConfigError> {
    let mut keys = config.settings.keys.iter();
    let pays = keys.any(|key| key.budget_usd_per_day.is_some());
    if pays {
        let unusable = |error| ConfigError(format!("{error}; --data names another folder"));
        books.open().map_err(unusable)?;
    }
    Ok(pays)
}

/// The gateway: what is running, and who is told of its calls. Clones are the same one.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    running: ArcSwap<Running>,
    metrics: Arc<GatewayMetrics>,
    observers: Vec<Arc<dyn Observer>>,
    dashboard: Arc<Dashboard>,
    calls: Arc<Calls>,
    /// Makes ids of requests unique: those of this process begin with its start.
    started: SystemTime,
    requests: AtomicU64,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("running", &self.0.running)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway of this configuration; the observers are told of every call.
    pub fn new(running: Running, mut observers: Vec<Arc<dyn Observer>>) -> Self {
        let dashboard = Arc::new(Dashboard::new(SystemClock::shared()));
        observers.push(Arc::clone(&dashboard) as _);
        running.callers.take_effect();
        let metrics = Arc::new(GatewayMetrics::new());
        observers.push(metrics.clone());
        observers
            .iter()
            .for_each(|observer| observer.runs(&running));
        Self(Arc::new(Inner {
            running: ArcSwap::from_pointee(running),
            metrics,
            observers,
            dashboard,
            calls: Arc::default(),
            started: SystemTime::now(),
            requests: AtomicU64::new(0),
        }))
    }

    /// What is running now.
    pub fn running(&self) -> Arc<Running> {
        self.0.running.load_full()
    }

    /// Puts another configuration in place. Calls under way end with the one they began with.
    pub fn replace(&self, running: Running) {
        running.callers.take_effect();
        for observer in self.observers() {
            observer.runs(&running);
        }
        self.0.running.store(Arc::new(running));
    }

    pub(crate) fn metrics(&self) -> &GatewayMetrics {
        &self.0.metrics
    }

    /// Calls to models that are under way, their answers included.
    pub fn calls_under_way(&self) -> usize {
        self.0.calls.under_way()
    }

    /// Says that the server is about to end: it is not ready any more, though it still answers.
    pub fn drain(&self) {
        self.0.calls.drain();
    }

    /// Whether the server is about to end.
    pub fn is_draining(&self) -> bool {
        self.0.calls.is_draining()
    }

    pub(crate) fn calls(&self) -> &Arc<Calls> {
        &self.0.calls
    }

    pub(crate) fn observers(&self) -> &[Arc<dyn Observer>] {
        &self.0.observers
    }

    /// The page at `/`.
    pub(crate) fn dashboard(&self) -> &Arc<Dashboard> {
        &self.0.dashboard
    }

    /// An id for a request, unique among all gateways for practical purposes.
    pub(crate) fn request_id(&self) -> String {
        let since = self.0.started.duration_since(SystemTime::UNIX_EPOCH);
        let started = since.unwrap_or_default().as_nanos();
        let number = self.0.requests.fetch_add(1, Relaxed);
        format!("req_{started:x}_{number:x}")
    }
}
