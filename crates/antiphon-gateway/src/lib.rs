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
//! - [`ToolSite`]: the tools of MCP on such a socket.
//! - [`CallerBooks`]: what the keys of callers have used.
//! - [`observe`]: what is told of each call, and to whom.

mod answer;
mod call;
mod callers;
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
mod tools;

pub use callers::{CallerBooks, CallerState, NewKey};
pub use gateway::{Gateway, Running};
pub use server::{BodyLimits, Server, ServerConfig, Tls, TlsError, Warning};
pub use tools::ToolSite;
