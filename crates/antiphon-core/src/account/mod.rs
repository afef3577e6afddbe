//! Accounting: what an answer used.

mod usage;

pub use usage::Usage;
