//! The state behind all routes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use antiphon::{Session, SystemClock};
use arc_swap::ArcSwap;

use crate::{
    caller::Callers,
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
