//! Server-sent events: a snapshot a second for everybody who looks, made once.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{Gateway, Running};

/// Those who may look at once. More are turned away: each holds a connection.
const MOST_VIEWERS: usize = 64;
/// Time between two snapshots.
const PAUSE: Duration = Duration::from_secs(1);

/// The ticker and its viewers. It ticks while there is one.
#[derive(Debug)]
pub(super) struct Events {
    seats: Arc<Semaphore>,
    /// The latest event. Who is slow misses those between, so nothing is kept for anybody.
    latest: watch::Sender<Option<Bytes>>,
    ticks: Mutex<bool>,
    closed: CancellationToken,
}

/// Somebody who looks.
struct Viewer {
    events: watch::Receiver<Option<Bytes>>,
    gateway: Gateway,
    /// What was running when they were let in. With another configuration they must ask again: their key may be gone.
    running: Arc<Running>,
    closed: CancellationToken,
    _seat: OwnedSemaphorePermit,
}

impl Events {
    pub(super) fn new() -> Self {
        Self {
            seats: Arc::new(Semaphore::new(MOST_VIEWERS)),
            latest: watch::Sender::new(None),
            ticks: Mutex::new(false),
            closed: CancellationToken::new(),
        }
    }

    /// Ends all streams of events.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Events from now on, the first at once. `None`: too many look already.
    pub(super) fn watch(&self, gateway: &Gateway, running: Arc<Running>) -> Option<Body> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        let mut events = self.latest.subscribe();
        events.mark_changed();
        let viewer = Viewer {
            events,
            gateway: gateway.clone(),
            running,
            closed: self.closed.clone(),
            _seat: seat,
        };
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut ticks, true) {
            tokio::spawn(tick(gateway.clone()));
        }
        Some(Body::from_stream(stream::unfold(viewer, Viewer::next)))
    }

    /// Whether the ticker may end, as nobody looks. Whoever comes after that starts another.
    fn may_rest(&self) -> bool {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = self.latest.receiver_count() == 0 || self.closed.is_cancelled();
        if rests {
            *ticks = false;
            // the next viewer must not begin with what is old
            self.latest.send_replace(None);
        }
        rests
    }

    #[cfg(test)]
    pub(super) fn is_ticking(&self) -> bool {
        *self.ticks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn tick(gateway: Gateway) {
    let dashboard = Arc::clone(gateway.dashboard());
    let events = &dashboard.events;
    while !events.may_rest() {
        let next = dashboard.clock.now() + PAUSE;
        let snapshot = dashboard.snapshot(&gateway.running());
        // a snapshot has no map with other keys than text, so this cannot fail
        if let Ok(json) = serde_json::to_string(&snapshot) {
            let event = format!("event: snapshot\ndata: {json}\n\n");
            events.latest.send_replace(Some(event.into()));
        }
        tokio::select! {
            () = dashboard.clock.sleep_until(next) => {}
            () = events.closed.cancelled() => {}
        }
    }
}

impl Viewer {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            tokio::select! {
                biased;
                () = self.closed.cancelled() => return None,
                changed = self.events.changed() => changed.ok()?,
            }
            if !Arc::ptr_eq(&self.running, &self.gateway.running()) {
                return None;
            }
            let event = self.events.borrow_and_update().clone();
            if let Some(event) = event {
                return Some((Ok(event), self));
            }
        }
    }
}
