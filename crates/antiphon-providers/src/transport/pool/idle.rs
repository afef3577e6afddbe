//! Connections that nobody uses: kept for the next request, let go after a while.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use super::{Pool, State};
use crate::transport::http1::Http1;

/// Pauses between two looks for idle connections are no longer than this.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

impl Pool {
    /// The connection used last that the server has not closed meanwhile.
    pub(super) fn pop_ready(&self) -> Option<Box<Http1>> {
        loop {
            let (_, mut connection) = self.state().idle.pop_back()?;
            // outside the lock: this reads from the socket, and closes it if the server has
            if connection.is_ready() {
                return Some(connection);
            }
        }
    }

    /// Takes a connection back for the next request.
    pub(in crate::transport) fn keep(&self, connection: Box<Http1>) {
        let now = Instant::now();
        let mut state = self.state();
        state.idle.push_back((now, connection));
        let is_over = state.idle.len() > self.most_idle;
        // the one at the front has been idle for longest
        let dropped = state
            .idle
            .pop_front_if(|(since, _)| is_over || now.duration_since(*since) >= self.idle_limit);
        drop(state);
        drop(dropped);
    }

    pub(super) fn sweep_later(self: &Arc<Self>, state: &mut State) {
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
