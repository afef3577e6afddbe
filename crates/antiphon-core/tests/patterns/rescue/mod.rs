//! Streams that break.

mod cases;
mod properties;
mod script;
