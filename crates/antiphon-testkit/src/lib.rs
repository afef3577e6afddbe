//! Proves promises from outside: the real binary, a simulated provider whose books cannot be argued with, and the
//! faults of real life between them. For development only.
//!
//! ```text
//! Sandbox ── antiphon run ──> FaultProxy ──> Sim (antiphon sim) ── GET /sim/ledger ──> Books
//!    │            ^
//!    │            └── CrashDriver: kill -9 at a seeded moment, again and again
//!    └── OutputLine: what must be equal in two outputs
//! ```
//! Everything is blocking, and everything started here ends with the value that stands for it.

mod command;
mod crash;
mod http;
mod output;
mod proxy;
mod sandbox;
mod sim;

pub use command::{Antiphon, Ended, Running, Signal};
pub use crash::{CrashDriver, KillAt, kills, rows, seed};
pub use output::{OutputLine, outputs};
pub use proxy::{FaultProxy, Traffic};
pub use sandbox::Sandbox;
pub use sim::{Books, Sim, run_at};
