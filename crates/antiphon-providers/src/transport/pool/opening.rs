//! Opening connections for those who wait, and handing out what comes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use antiphon_core::{Error, Phase};

use super::{Grant, Lease, Pool, Protocol, State, shards::ShardId};
use crate::transport::{failure, http1::Http1, http2::Http2};

/// A new connection, in the protocol that the server chose.
pub(super) enum Opened {
    Http1(Box<Http1>),
    Http2(Http2),
}

impl Pool {
    pub(super) async fn open(self: &Arc<Self>) -> Result<Opened, Error> {
        let dialed = self.dialer.dial(&self.origin, self.proxy.as_ref()).await?;
        let opened = if dialed.http2 {
            Http2::open(dialed.stream).await.map(Opened::Http2)
        } else {
            Http1::open(dialed.stream).await.map(Opened::Http1)
        };
        opened.map_err(|error| failure::exchange(error, &self.origin))
    }

    /// Opens as many connections as those who wait need, counting those already on their way.
    pub(super) fn dial_for_waiting(self: &Arc<Self>, state: &mut State, limit: Duration) {
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

    pub(super) fn add_shard(self: &Arc<Self>, connection: Http2) {
        let mut state = self.state();
        state.protocol = Some(Protocol::Http2);
        state.shards.add(connection);
        self.sweep_later(&mut state);
    }

    pub(super) fn note(self: &Arc<Self>, protocol: Protocol) {
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

    pub(super) fn release(self: &Arc<Self>, shard: ShardId) {
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
