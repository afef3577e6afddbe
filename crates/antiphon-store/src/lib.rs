//! Everything on disk: sources, sinks, the ledger and the response cache.
//!
//! - [`SqliteLedger`]: what a job remembers, on embedded SQLite (`docs/ledger.md` names every column); [`PastRuns`]: the same,
//!   read without a trace
//! - [`BudgetFile`]: what a job without a ledger may have spent, or a caller of the gateway on a day
//! - [`DiskCache`]: answers kept beyond a run (`docs/cache.md`)
//! - [`ClientBook`]: what clients of the Model Context Protocol were seen to bear
//! - [`StateDir`]: the folder it lives in, private and locked
//! - [`sources`]: readers of input, one file a format
//! - [`sinks`]: writers of output, one file a format
//! - [`DiskSeen`]: exact counts of equal keys in bounded memory

mod budget_file;
mod cache;
mod clients;
mod ledger;
mod seen;
pub mod sinks;
pub mod sources;
mod state_dir;
mod sum;

pub use budget_file::BudgetFile;
pub use cache::{Bounds, DiskCache, WallTime};
pub use clients::ClientBook;
pub use ledger::{
    FailedRow, PastOutcome, PastRuns, SqliteLedger, Standing, is_disk_failure, is_of_disk,
    open_or_salvage,
};
pub use seen::DiskSeen;
pub use state_dir::{StateDir, StateDirError};
