//! The HTTP/2 connections to one origin, and which of them has a free stream.

use std::{
    collections::HashMap,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;

use crate::transport::http2::Http2;

/// Streams that a connection is expected to carry before the first one has told its limit (RFC 9113, section 6.5.2
/// recommends no less).
const USUAL_LIMIT: usize = 100;

/// Which connection a stream is on.
pub(super) type ShardId = u64;

/// Connections and our own count of the streams on each.
#[derive(Debug)]
pub(super) struct Shards {
    by_id: HashMap<ShardId, Shard>,
    /// Those with a free stream. The last one is filled first, so that connections no longer needed fall idle.
    open: Vec<ShardId>,
    next: ShardId,
    usual_limit: usize,
}

#[derive(Debug)]
struct Shard {
    connection: Http2,
    streams: usize,
    is_open: bool,
    idle_since: Instant,
}

impl Default for Shards {
    fn default() -> Self {
        Self {
            by_id: HashMap::new(),
            open: Vec::new(),
            next: 0,
            usual_limit: USUAL_LIMIT,
        }
    }
}

impl Shards {
    pub(super) fn add(&mut self, connection: Http2) {
        let id = self.next;
        self.next += 1;
        self.usual_limit = connection.limit.load(Ordering::Relaxed).max(1);
        self.open.push(id);
        self.by_id.insert(
            id,
            Shard {
                connection,
                streams: 0,
                is_open: true,
                idle_since: Instant::now(),
            },
        );
    }

    /// Takes a stream on any connection that has one free.
    pub(super) fn take(&mut self) -> Option<(ShardId, SendRequest<Full<Bytes>>)> {
        while let Some(&id) = self.open.last() {
            let Some(shard) = self.by_id.get_mut(&id) else {
                self.open.pop();
                continue;
            };
            if shard.connection.sender.is_closed() {
                self.open.pop();
                self.by_id.remove(&id);
                continue;
            }
            if shard.has_room() {
                shard.streams += 1;
                return Some((id, shard.connection.sender.clone()));
            }
            shard.is_open = false;
            self.open.pop();
        }
        None
    }

    pub(super) fn give_back(&mut self, id: ShardId) {
        // a connection that was closed meanwhile takes its count with it
        let Some(shard) = self.by_id.get_mut(&id) else {
            return;
        };
        shard.streams -= 1;
        if shard.streams == 0 {
            shard.idle_since = Instant::now();
        }
        if !shard.is_open && shard.has_room() {
            shard.is_open = true;
            self.open.push(id);
        }
    }

    /// Offers the connection to nobody any more; streams on it live on.
    pub(super) fn remove(&mut self, id: ShardId) {
        self.by_id.remove(&id);
    }

    /// Lets go of connections that carried nothing for this long, and of closed ones.
    pub(super) fn expire(&mut self, idle_limit: Duration) {
        self.by_id.retain(|_, shard| {
            let is_idle = shard.streams == 0 && shard.idle_since.elapsed() >= idle_limit;
            !is_idle && !shard.connection.sender.is_closed()
        });
        self.open.retain(|id| self.by_id.contains_key(id));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Streams that one more connection would bring.
    pub(super) fn usual_limit(&self) -> usize {
        self.usual_limit
    }
}

impl Shard {
    fn has_room(&self) -> bool {
        self.streams < self.connection.limit.load(Ordering::Relaxed)
    }
}
