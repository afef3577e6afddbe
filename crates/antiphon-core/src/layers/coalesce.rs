//! [`Coalesce`]: equal requests in flight share one call.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use futures_util::{FutureExt, future::WeakShared};

use crate::{
    Body, BoxFuture, ChatRequest, ChatResponse, Error, Fingerprint, Model, SharedModel, Spent,
    chat::{Delivery, Reply},
};

/// Tells which requests are equal, beside their sample number.
pub(super) type KeyOf = Arc<dyn Fn(&ChatRequest) -> Fingerprint + Send + Sync>;

/// How requests are compared.
#[derive(Clone, Default)]
pub struct CoalesceConfig {
    key: Option<KeyOf>,
}

impl CoalesceConfig {
    /// Requests are equal if the given key is. By default the key is the request's [`Fingerprint`] under the model's
    /// name, which is right where the model is always the same endpoint.
    pub fn by(key: impl Fn(&ChatRequest) -> Fingerprint + Send + Sync + 'static) -> Self {
        Self {
            key: Some(Arc::new(key)),
        }
    }
}

impl fmt::Debug for CoalesceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoalesceConfig").finish_non_exhaustive()
    }
}

/// The layer: the first caller's request is sent, the others wait for its answer or its error. The call lives while any
/// of them does, whoever was first. Only whole answers are shared.
///
/// What was paid is told once: one of the callers sees [`Head::attempts`] and [`Head::earlier`], for the others
/// both are zero and [`Head::cached`] is set.
///
/// [`Head::attempts`]: crate::Head::attempts
/// [`Head::earlier`]: crate::Head::earlier
/// [`Head::cached`]: crate::Head::cached
#[derive(Debug)]
pub struct Coalesce {
    inner: SharedModel,
    config: CoalesceConfig,
    flights: Arc<Mutex<Flights>>,
    next: AtomicU64,
}

type Key = (Fingerprint, u32);
type Landed = Result<Reply, Error>;
type Flights = HashMap<Key, Flight>;

#[derive(Debug)]
struct Flight {
    number: u64,
    /// Weak: only callers keep a flight in the air.
    call: WeakShared<BoxFuture<'static, Landed>>,
    paid_for: Arc<AtomicBool>,
}

impl Coalesce {
    /// Shares equal calls of `inner`.
    pub fn new(inner: SharedModel, config: CoalesceConfig) -> Self {
        Self {
            inner,
            config,
            flights: Arc::default(),
            next: AtomicU64::new(0),
        }
    }

    fn key(&self, request: &ChatRequest) -> Key {
        let print = match &self.config.key {
            Some(key) => key(request),
            None => Fingerprint::of(&[self.inner.name()], request),
        };
        (print, request.sample)
    }

    async fn share(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let (call, paid_for) = self.board(request);
        let Reply { mut head, answer } = call.await?;
        if paid_for.swap(true, Relaxed) {
            head.attempts = 0;
            head.earlier = Spent::default();
            head.cached = true;
        }
        Ok(ChatResponse {
            head,
            body: Body::Ready(answer),
        })
    }

    /// Joins the flight of an equal request, or begins one.
    fn board(
        &self,
        request: ChatRequest,
    ) -> (
        futures_util::future::Shared<BoxFuture<'static, Landed>>,
        Arc<AtomicBool>,
    ) {
        let key = self.key(&request);
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.get(&key)
            && let Some(call) = flight.call.upgrade()
        {
            return (call, Arc::clone(&flight.paid_for));
        }
        let number = self.next.fetch_add(1, Relaxed);
        let landing = Landing {
            flights: Arc::clone(&self.flights),
            key,
            number,
        };
        let inner = Arc::clone(&self.inner);
        let fly: BoxFuture<'static, Landed> = Box::pin(async move {
            let _landing = landing;
            inner.call(request).await?.whole().await
        });
        let call = fly.shared();
        let paid_for = Arc::new(AtomicBool::new(false));
        if let Some(weak) = call.downgrade() {
            let flight = Flight {
                number,
                call: weak,
                paid_for: Arc::clone(&paid_for),
            };
            flights.insert(key, flight);
        }
        (call, paid_for)
    }
}

/// Takes the flight off the board when it has landed or nobody waits for it any more.
struct Landing {
    flights: Arc<Mutex<Flights>>,
    key: Key,
    number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        if let Entry::Occupied(flight) = lock(&self.flights).entry(self.key)
            && flight.get().number == self.number
        {
            flight.remove();
        }
    }
}

fn lock(flights: &Mutex<Flights>) -> MutexGuard<'_, Flights> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Model for Coalesce {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        match request.delivery {
            Delivery::Whole => Box::pin(self.share(request)),
            Delivery::Streamed => self.inner.call(request),
        }
    }
}
