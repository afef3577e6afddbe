#![doc = include_str!("../../../docs/patterns.md")]

#[doc(inline)]
pub use antiphon_core::patterns::*;
