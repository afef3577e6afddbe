//! Connections to one origin: who gets which, and when another one is opened.
//!
//! HTTP/1.1: the connection used last is used next; without an idle one, the request opens its own. There is no cap:
//! the gate above decides how many requests are in flight.
//!
//! HTTP/2, or not known yet: requests without a stream queue, and connections are opened for the queue, as many as it
//! needs at the server's stream limit. At first contact that is one: everybody waits until it has told the protocol.
//! Whenever a request waits, a connection is being opened, so nothing waits for ever.

mod idle;
mod opening;
mod shards;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use antiphon_core::{Error, Phase};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use tokio::sync::oneshot;

use self::{
    opening::Opened,
    shards::{ShardId, Shards},
};
use super::{Scheme, TransportConfig, dial::Dialer, http1::Http1, proxy::Proxy, target::Origin};

/// The connections of one origin.
#[derive(Debug)]
pub(in crate::transport) struct Pool {
    origin: Arc<Origin>,
    proxy: Option<Proxy>,
    dialer: Arc<Dialer>,
    idle_limit: Duration,
    most_idle: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    protocol: Option<Protocol>,
    /// HTTP/1.1 connections, the one used last at the back.
    idle: VecDeque<(Instant, Box<Http1>)>,
    shards: Shards,
    waiting: VecDeque<oneshot::Sender<Grant>>,
    /// Connections being opened for those who wait.
    dials: usize,
    is_swept: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// What a request travels on.
#[derive(Debug)]
pub(in crate::transport) enum Lease {
    Http1(Box<Http1>),
    Http2(Slot),
}

/// A place on an HTTP/2 connection, given back on drop.
#[derive(Debug)]
pub(in crate::transport) struct Slot {
    pub(in crate::transport) sender: SendRequest<Full<Bytes>>,
    pub(in crate::transport) pool: Arc<Pool>,
    /// `None` once there is nothing to give back.
    shard: Option<ShardId>,
}

/// What a waiting request is told.
#[derive(Debug)]
enum Grant {
    Lease(Lease),
    /// The server speaks HTTP/1.1: a connection serves one request only.
    DialYourself,
    Failed(Error),
}

enum Turn {
    Lease(Lease),
    Dial,
    Wait(oneshot::Receiver<Grant>),
}

impl Pool {
    pub(in crate::transport) fn new(
        origin: Arc<Origin>,
        dialer: Arc<Dialer>,
        config: &TransportConfig,
    ) -> Self {
        // plain text is always HTTP/1.1, so there is nothing to learn
        let protocol = (origin.scheme == Scheme::Http).then_some(Protocol::Http1);
        Self {
            proxy: config.proxy.proxy_for(&origin),
            origin,
            dialer,
            idle_limit: config.idle_limit,
            most_idle: config.most_idle,
            state: Mutex::new(State {
                protocol,
                ..State::default()
            }),
        }
    }

    pub(in crate::transport) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// The proxy to which requests are written in absolute form.
    pub(in crate::transport) fn forwarder(&self) -> Option<&Proxy> {
        self.proxy
            .as_ref()
            .filter(|proxy| proxy.forwards(&self.origin))
    }

    /// A connection to send on, within the limit. A fresh one was never used, where each request has its own.
    pub(in crate::transport) async fn lease(
        self: &Arc<Self>,
        limit: Duration,
        fresh: bool,
    ) -> Result<Lease, Error> {
        if let Some(lease) = self.lease_now(fresh) {
            return Ok(lease);
        }
        // boxed: the future of a request with a connection at hand stays small
        let leasing = Box::pin(self.lease_later(limit));
        tokio::time::timeout(limit, leasing)
            .await
            .unwrap_or_else(|_| Err(Error::timeout(Phase::Connect, limit)))
    }

    fn lease_now(self: &Arc<Self>, fresh: bool) -> Option<Lease> {
        if !fresh && let Some(connection) = self.pop_ready() {
            return Some(Lease::Http1(connection));
        }
        let (shard, sender) = self.state().shards.take()?;
        Some(Lease::Http2(self.slot(shard, sender)))
    }

    async fn lease_later(self: &Arc<Self>, limit: Duration) -> Result<Lease, Error> {
        loop {
            let told = match self.turn(limit) {
                Turn::Lease(lease) => return Ok(lease),
                Turn::Wait(told) => told,
                Turn::Dial => match self.open().await? {
                    Opened::Http1(connection) => {
                        self.note(Protocol::Http1);
                        return Ok(Lease::Http1(connection));
                    }
                    Opened::Http2(connection) => {
                        self.add_shard(connection);
                        continue;
                    }
                },
            };
            match told.await {
                Ok(Grant::Lease(lease)) => return Ok(lease),
                Ok(Grant::Failed(error)) => return Err(error),
                Ok(Grant::DialYourself) => {}
                Err(_) => return Err(Error::stopped("stopped while connecting")),
            }
        }
    }

    fn turn(self: &Arc<Self>, limit: Duration) -> Turn {
        let mut state = self.state();
        if state.protocol == Some(Protocol::Http1) {
            return Turn::Dial;
        }
        if let Some((shard, sender)) = state.shards.take() {
            return Turn::Lease(Lease::Http2(self.slot(shard, sender)));
        }
        let (tell, told) = oneshot::channel();
        state.waiting.push_back(tell);
        self.dial_for_waiting(&mut state, limit);
        Turn::Wait(told)
    }

    fn slot(self: &Arc<Self>, shard: ShardId, sender: SendRequest<Full<Bytes>>) -> Slot {
        Slot {
            sender,
            pool: Arc::clone(self),
            shard: Some(shard),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Forgets what would be given back on drop, for whoever holds the lock already.
    fn disarm(self) {
        if let Self::Http2(mut slot) = self {
            slot.shard = None;
        }
    }
}

impl Slot {
    /// Gives the stream up together with its connection, which takes no new ones.
    pub(in crate::transport) fn close(mut self) {
        if let Some(shard) = self.shard.take() {
            self.pool.state().shards.remove(shard);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(shard) = self.shard.take() {
            self.pool.release(shard);
        }
    }
}
