//! Accounting: what answers used, what they cost, and what their computing took. Arithmetic on tables that others inject.

pub mod carbon;
mod impacts;
pub mod price;
mod rates;
mod spent;
mod usage;
mod usd;

pub use impacts::{Impacts, Range};
pub use rates::{Billed, Rates, Worst};
pub use spent::Spent;
pub use usage::Usage;
pub use usd::{NotUsd, Usd};
