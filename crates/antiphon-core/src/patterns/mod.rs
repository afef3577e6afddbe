//! Patterns: each combines [`Model`](crate::Model)s, and gives a model or a list of outcomes.
//!
//! What many calls give is *all settled*: one outcome for each input, at its index, successes and failures side by side.
//! A pattern that decides between answers is a model itself, so patterns nest.

mod window;

pub use window::{Ordered, Window, window};
