//! Provider dialects as pure translation, the one HTTP transport, and what is known of models.
//!
//! A dialect turns a chat request into bytes and bytes into answers, deltas, limits and classified errors. It never
//! talks: sockets, TLS, proxies and time limits belong to the transport.

pub mod catalog;
pub mod dialects;
mod endpoint;
pub mod fronts;
pub mod limits;
mod redact;
pub mod sse;
pub mod tokens;
pub mod transport;

pub use endpoint::{Endpoint, EndpointConfig};
pub use redact::redact;
