//! Proves promises from outside: the real binary, a simulated provider whose books cannot be argued with, and the
//! faults of real life between them. For development only.
//!
//! ```text
//! Sandbox ── antiphon run ──> FaultProxy ──> Sim (antiphon sim) ── GET /sim/ledger ──> Books
//!    │            ^
//!    │            ├── CrashDriver: kill -9 at a seeded moment, again and again
//!    │            └── FailPoint: the disk fails at the n-th write
//!    └── OutputLine: what must be equal in two outputs
//!
//! official clients ─────────> Gateway (antiphon serve) ──> Sim
//! McpClient ── tools ───────> antiphon mcp ── sampling ──> McpClient ──> Sim
//! ```
//! Everything is blocking, and everything started here ends with the value that stands for it.

#![allow(
    clippy::disallowed_methods,
    reason = "real processes have no clock that a test could drive: they are looked at until they are where they should be"
)]

pub mod browser;
pub mod clients;
mod command;
mod crash;
mod failpoint;
mod gateway;
mod http;
mod mcp;
mod output;
mod proxy;
mod sandbox;
mod sim;

pub use command::{Antiphon, Ended, Running, Signal};
pub use crash::{CrashDriver, KillAt, kills, rows, seed, writes};
pub use failpoint::{Cause, FailPoint, Fault, Write};
pub use gateway::Gateway;
pub use mcp::McpServer;
pub use output::{OutputLine, outputs};
pub use proxy::{FaultProxy, Traffic};
pub use sandbox::Sandbox;
pub use sim::{Books, Sim, run_at};
