//! The one HTTP client: requests as values in, responses as a head and a bounded stream of bytes out.
//!
//! A [`Transport`] talks, dialects translate. It knows no provider, retries nothing that may have been sent, follows no
//! redirect and never logs headers. [`HttpTransport`] is the real one; replayed traffic implements the same trait.
//!
//! ```text
//! WireRequest ──> Pool (one for each origin) ──> HTTP/1.1: a connection of its own, kept for the next request
//!                   │                       └──> HTTP/2: a stream on one of several connections (shards)
//!                   └─ dial: DNS (cached) ▸ TCP ▸ proxy ▸ TLS + ALPN
//! ```
//!
//! Why not a ready-made pool: one shared HTTP/2 connection caps the whole program at the server's stream limit (often
//! 100), so streams are spread over as many connections as the requests in flight need. And an HTTP/1.1 connection is
//! driven by the request that uses it, not by a task of its own, which saves the task switches of every exchange.

mod body;
mod client;
mod config;
mod dial;
mod dns;
mod failure;
mod http1;
mod http2;
mod pool;
mod proxy;
mod stream;
mod target;
mod tls;
mod wire;

pub use body::WireBody;
pub use client::HttpTransport;
pub use config::{Misconfigured, TransportConfig};
pub use proxy::ProxyConfig;
pub use target::{Scheme, Target};
pub use wire::{WireRequest, WireResponse};

use antiphon_core::{BoxFuture, Error};

/// Whatever carries a request to a provider and brings back what it says.
pub trait Transport: Send + Sync + std::fmt::Debug {
    /// Sends one request and waits for the head of the response.
    ///
    /// Any status is a response, redirects included. Waiting for the head has no limit here: the limits of the first
    /// byte and of the whole attempt belong to the timeout layer, which drops the future; the connection is then
    /// closed (HTTP/1.1) or the stream reset (HTTP/2).
    ///
    /// # Errors
    /// [`Connection`](antiphon_core::ErrorKind::Connection) when there is none or it broke,
    /// [`Timeout`](antiphon_core::ErrorKind::Timeout) while connecting,
    /// [`BadResponse`](antiphon_core::ErrorKind::BadResponse) for what is not HTTP or out of bounds.
    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, Error>>;
}
