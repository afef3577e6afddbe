//! The state behind all routes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use antiphon::{Config, ConfigError, Session, SystemClock, env::Lookup, session::SessionOptions};
use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::{
    callers::{CallerBooks, CallerState, Callers},
    dashboard::Dashboard,
    observe::Observer,
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
        let mut keys = config.settings.keys.iter();
        if keys.any(|key| key.budget_usd_per_day.is_some()) {
            options.pays_by_caller = true;
            let unusable = |error| ConfigError(format!("{error}; --data names another folder"));
            books.open().map_err(unusable)?;
        }
        let session = Session::new(config.clone(), options, env, drain);
        let callers = Callers::of(&config, &session, env, books)?;
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

/// The gateway: what is running, and who is told of its calls. Clones are the same one.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    running: ArcSwap<Running>,
    observers: Vec<Arc<dyn Observer>>,
    dashboard: Arc<Dashboard>,
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
        Self(Arc::new(Inner {
            running: ArcSwap::from_pointee(running),
            observers,
            dashboard,
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
        self.0.running.store(Arc::new(running));
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
