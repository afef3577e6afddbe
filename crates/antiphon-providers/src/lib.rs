//! Provider dialects as pure translation, and the one HTTP transport.

pub mod transport;
