//! Everything on disk: sources, sinks and the ledger.
//!
//! - [`SqliteLedger`]: what a job remembers, on embedded SQLite (`docs/ledger.md` names every column)
//! - [`StateDir`]: the folder it lives in, private and locked
//! - [`sources`]: readers of input, one file a format
//! - [`sinks`]: writers of output, one file a format
//! - [`DiskSeen`]: exact counts of equal keys in bounded memory

mod ledger;
mod seen;
pub mod sinks;
pub mod sources;
mod state_dir;

pub use ledger::{SqliteLedger, open_or_salvage};
pub use seen::DiskSeen;
pub use state_dir::{StateDir, StateDirError};
