//! Accounting: what answers used, what they cost, and what their computing took. Arithmetic on tables that others inject.

pub(crate) mod bounds;
pub mod carbon;
pub mod estimate;
mod impacts;
pub mod price;
mod rates;
mod spent;
mod usage;
mod usd;

pub use bounds::{
    choices, most_embedded_tokens, most_input_tokens, most_output_tokens, most_verbatim_tokens,
};
pub use impacts::{Impacts, Range};
pub use rates::{Billed, Rates, Worst, is_standard_tier};
pub use spent::Spent;
pub use usage::Usage;
pub use usd::{NotUsd, Usd};
