//! [`ServerConfig`]: what a server bears from its callers.

use std::{sync::Arc, time::Duration};

use super::Tls;

/// How a server treats its connections.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// TLS; without it the server speaks plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Time in which a TLS handshake must be done.
    pub handshake_timeout: Duration,
    /// Time in which the headers of a request must have come, from its first byte; for the first request of a connection
    /// from the connection on.
    pub header_timeout: Duration,
    /// Time that a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// Time in which a caller must take something of what is written to it.
    pub write_timeout: Duration,
    /// Time for which what a refused caller still sends is read and thrown away, so that it gets to read why.
    pub linger: Duration,
    /// Bytes of a request's headers.
    pub largest_head: usize,
    /// Headers of a request.
    pub most_headers: usize,
    /// What bodies may be.
    pub body: BodyLimits,
    /// Calls under way at once; more are refused with 503.
    pub max_calls: usize,
    /// Connections at once; more wait to be accepted.
    pub max_connections: usize,
    /// Requests under way on one connection of HTTP/2.
    pub max_streams: u32,
    /// Time that calls under way have once the server is told to stop.
    pub drain: Duration,
}

/// What the bodies of requests may be.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes of the largest body.
    pub largest: u64,
    /// Bytes of all large bodies together that calls under way may hold; more are refused with 503.
    pub all: u64,
    /// Time before it must come at [`Self::slowest`].
    pub grace: Duration,
    /// Bytes a second that must come at least.
    pub slowest: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            tls: None,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            // longer than the pools of usual clients keep theirs, so that it is they who close
            idle_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(60),
            linger: Duration::from_secs(2),
            largest_head: 64 << 10,
            most_headers: 100,
            body: BodyLimits::default(),
            max_calls: 4096,
            max_connections: 10_000,
            max_streams: 256,
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            // as Anthropic has it
            largest: 32 << 20,
            all: 512 << 20,
            grace: Duration::from_secs(10),
            slowest: 1 << 10,
        }
    }
}
