//! Connections to one origin: who gets which, and when another one is opened.
//!
//! HTTP/1.1: the connection used last is used next; without an idle one, the request opens its own. There is no cap:
//! the gate above decides how many requests are in flight.
//!
//! HTTP/2, or not known yet: requests without a stream queue, and connections are opened for the queue, as many as it
//! needs at the server's stream limit. At first contact that is one: everybody waits until it has told the protocol.
//! Whenever a request waits, a connection is being opened, so nothing waits for ever.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use antiphon_core::{Error, Phase};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use tokio::sync::oneshot;

use super::{
    Scheme, TransportConfig,
    dial::Dialer,
    failure,
    http1::Http1,
    http2::Http2,
    proxy::Proxy,
    shards::{ShardId, Shards},
    target::Origin,
};

/// Pauses between two looks for idle connections are no longer than this.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// The connections of one origin.
#[derive(Debug)]
pub(super) struct Pool {
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
pub(super) enum Lease {
    Http1(Box<Http1>),
    Http2(Slot),
}

/// A place on an HTTP/2 connection, given back on drop.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) pool: Arc<Pool>,
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

enum Opened {
    Http1(Box<Http1>),
    Http2(Http2),
}

enum Turn {
    Lease(Lease),
    Dial,
    Wait(oneshot::Receiver<Grant>),
}

impl Pool {
    pub(super) fn new(origin: Arc<Origin>, dialer: Arc<Dialer>, config: &TransportConfig) -> Self {
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

    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// The proxy to which requests are written in absolute form.
    pub(super) fn forwarder(&self) -> Option<&Proxy> {
        self.proxy
            .as_ref()
            .filter(|proxy| proxy.forwards(&self.origin))
    }

    /// A connection to send on, within the limit. A fresh one was never used, where each request has its own.
    pub(super) async fn lease(
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
        while !fresh {
            let Some((_, mut connection)) = self.state().idle.pop_back() else {
                break;
            };
            // outside the lock: this reads from the socket, and closes it if the server has
            if connection.is_ready() {
                return Some(Lease::Http1(connection));
            }
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

    /// Takes a connection back for the next request.
    pub(super) fn keep(&self, connection: Box<Http1>) {
        let now = Instant::now();
        let mut state = self.state();
        state.idle.push_back((now, connection));
        let is_over = state.idle.len() > self.most_idle;
        let expired = state
            .idle
            .front()
            .filter(|(since, _)| is_over || now.duration_since(*since) >= self.idle_limit)
            .is_some();
        let dropped = if expired {
            state.idle.pop_front()
        } else {
            None
        };
        drop(state);
        drop(dropped);
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

// Opening connections.
impl Pool {
    async fn open(self: &Arc<Self>) -> Result<Opened, Error> {
        let dialed = self.dialer.dial(&self.origin, self.proxy.as_ref()).await?;
        let opened = if dialed.http2 {
            Http2::open(dialed.stream).await.map(Opened::Http2)
        } else {
            Http1::open(dialed.stream).await.map(Opened::Http1)
        };
        opened.map_err(|error| failure::exchange(error, &self.origin))
    }

    /// Opens as many connections as those who wait need, counting those already on their way.
    fn dial_for_waiting(self: &Arc<Self>, state: &mut State, limit: Duration) {
        if state.expected_streams() >= state.waiting.len() {
            return;
        }
        state.waiting.retain(|waiting| !waiting.is_closed());
        while state.expected_streams() < state.waiting.len() {
            state.dials += 1;
            let dial = Dial {
                pool: Arc::clone(self),
                limit,
                is_settled: false,
            };
            tokio::spawn(dial.run());
        }
    }

    fn settle(self: &Arc<Self>, outcome: Result<Opened, Error>, limit: Duration) {
        let mut state = self.state();
        state.dials -= 1;
        match outcome {
            Ok(Opened::Http2(connection)) => {
                state.protocol = Some(Protocol::Http2);
                state.shards.add(connection);
                self.grant_streams(&mut state);
            }
            Ok(Opened::Http1(connection)) => {
                state.protocol = Some(Protocol::Http1);
                let mut lease = Some(Lease::Http1(connection));
                while let Some(waiting) = state.waiting.pop_front() {
                    let grant = lease.take().map_or(Grant::DialYourself, Grant::Lease);
                    if let Err(Grant::Lease(unclaimed)) = waiting.send(grant) {
                        lease = Some(unclaimed);
                    }
                }
                if let Some(Lease::Http1(unclaimed)) = lease {
                    state.idle.push_back((Instant::now(), unclaimed));
                }
            }
            Err(error) => {
                while state.waiting.len() > state.expected_streams() {
                    let Some(waiting) = state.waiting.pop_front() else {
                        break;
                    };
                    // a receiver that is gone needs no news
                    let _ = waiting.send(Grant::Failed(error.clone()));
                }
            }
        }
        self.dial_for_waiting(&mut state, limit);
        self.sweep_later(&mut state);
    }

    fn add_shard(self: &Arc<Self>, connection: Http2) {
        let mut state = self.state();
        state.protocol = Some(Protocol::Http2);
        state.shards.add(connection);
        self.sweep_later(&mut state);
    }

    fn note(self: &Arc<Self>, protocol: Protocol) {
        let mut state = self.state();
        state.protocol = Some(protocol);
        self.sweep_later(&mut state);
    }

    /// Hands free streams to those who wait, first come first served.
    fn grant_streams(self: &Arc<Self>, state: &mut State) {
        while !state.waiting.is_empty() {
            let Some((shard, sender)) = state.shards.take() else {
                return;
            };
            let mut lease = Some(Lease::Http2(self.slot(shard, sender)));
            while let Some(unclaimed) = lease.take() {
                let Some(waiting) = state.waiting.pop_front() else {
                    unclaimed.disarm();
                    state.shards.give_back(shard);
                    break;
                };
                if let Err(Grant::Lease(unclaimed)) = waiting.send(Grant::Lease(unclaimed)) {
                    lease = Some(unclaimed);
                }
            }
        }
    }

    fn release(self: &Arc<Self>, shard: ShardId) {
        let mut state = self.state();
        state.shards.give_back(shard);
        self.grant_streams(&mut state);
    }
}

impl State {
    /// Streams that the connections on their way will bring. Before the first has come, one is expected to be enough:
    /// it tells the protocol, and more are opened then.
    fn expected_streams(&self) -> usize {
        match (self.protocol, self.dials) {
            (_, 0) => 0,
            (Some(Protocol::Http2), dials) => dials.saturating_mul(self.shards.usual_limit()),
            _ => usize::MAX,
        }
    }
}

/// A connection being opened for those who wait, in a task of its own: whoever asked first may give up.
struct Dial {
    pool: Arc<Pool>,
    limit: Duration,
    is_settled: bool,
}

impl Dial {
    async fn run(mut self) {
        let outcome = tokio::time::timeout(self.limit, self.pool.open())
            .await
            .unwrap_or_else(|_| Err(Error::timeout(Phase::Connect, self.limit)));
        self.is_settled = true;
        self.pool.settle(outcome, self.limit);
    }
}

impl Drop for Dial {
    /// The runtime shuts down, or a bug: nobody may wait for a connection that never comes.
    fn drop(&mut self) {
        if !self.is_settled {
            let mut state = self.pool.state();
            state.dials -= 1;
            state.waiting.clear();
        }
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
    pub(super) fn close(mut self) {
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

// Letting idle connections go.
impl Pool {
    fn sweep_later(self: &Arc<Self>, state: &mut State) {
        if state.is_swept {
            return;
        }
        state.is_swept = true;
        let sweeper = Sweeper {
            pool: Arc::downgrade(self),
            every: (self.idle_limit / 2).clamp(Duration::from_millis(10), SWEEP_EVERY),
        };
        tokio::spawn(sweeper.run());
    }

    /// Whether anything is left to look after.
    fn sweep(&self) -> bool {
        let mut state = self.state();
        state.shards.expire(self.idle_limit);
        let fresh = state
            .idle
            .partition_point(|(since, _)| since.elapsed() >= self.idle_limit);
        let expired: Vec<_> = state.idle.drain(..fresh).collect();
        let is_empty = state.idle.is_empty() && state.shards.is_empty();
        drop(state);
        drop(expired);
        !is_empty
    }
}

/// Looks for idle connections now and then, until the pool is gone or there are none.
struct Sweeper {
    pool: Weak<Pool>,
    every: Duration,
}

impl Sweeper {
    async fn run(self) {
        loop {
            tokio::time::sleep(self.every).await;
            let Some(pool) = self.pool.upgrade() else {
                return;
            };
            if !pool.sweep() {
                return;
            }
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.state().is_swept = false;
        }
    }
}
