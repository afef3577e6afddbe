//! The Model Context Protocol at arm's length: the model of a client that is connected, and a server of tools that may use
//! it. Everything of the `rmcp` library stays in here.
//!
//! ```text
//! client ── tools/call ──> Server ──> Tool::call(arguments, Call)
//!    ^                                    │ Call::client_model(): a Model like any other
//!    │                                    v
//!    │                  Queue (what the client bears) ▸ Sampling: ChatRequest ⇄ createMessage
//!    │                                    │ Outbox
//!    └── sampling/createMessage ── a carrier, in the tool call's own task:
//!                                   the back channel, or since 2026-07-28 rounds of input_required
//! ```
//!
//! - [`Tool`]: what a server offers; [`Call`]: one use of it.
//! - [`Server`]: tools over stdin and stdout; [`HttpService`]: the same over HTTP.

mod sampling;
mod server;
mod tool;

pub use server::{Bears, HttpConfig, HttpService, Principal, Server, ServerConfig};
pub use tool::{Call, Effects, Progress, Step, Tool, ToolFacts};
