//! The gateway: every model of a configuration behind the endpoints that OpenAI's and Anthropic's clients know.
//!
//! ```text
//!  caller ──> server (limits, TLS) ──> router ──> call: who asks ▸ what ▸ which model ▸ may it ──> Session's models
//!     ^                                             │
//!     └── answer, stream or error in the caller's wire format <── fronts
//!                                                   └──> observers: metrics, traces, log, dashboard
//! ```
//!
//! - [`Gateway`]: the state behind all routes; [`Gateway::router`] gives them to any server.
//! - [`Server`]: that router on a socket, until it is told to stop.
//! - [`observe`]: what is told of each call, and to whom.

mod answer;
mod call;
mod caller;
mod calls;
mod dashboard;
mod gateway;
mod incoming;
mod models;
pub mod observe;
mod refusal;
mod routes;
mod server;
mod streaming;

pub use gateway::{Gateway, Running};
pub use server::{BodyLimits, Server, ServerConfig, Tls, TlsError, Warning};
