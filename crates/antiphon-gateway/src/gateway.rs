//! The state behind all routes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use antiphon::Session;
use arc_swap::ArcSwap;

use crate::{caller::Callers, observe::Observer};

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
    observers: Vec<Arc<dyn Observer>>,
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
    pub fn new(running: Running, observers: Vec<Arc<dyn Observer>>) -> Self {
        Self(Arc::new(Inner {
            running: ArcSwap::from_pointee(running),
            observers,
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

    /// An id for a request, unique among all gateways for practical purposes.
    pub(crate) fn request_id(&self) -> String {
        let since = self.0.started.duration_since(SystemTime::UNIX_EPOCH);
        let started = since.unwrap_or_default().as_nanos();
        let number = self.0.requests.fetch_add(1, Relaxed);
        format!("req_{started:x}_{number:x}")
    }
}
