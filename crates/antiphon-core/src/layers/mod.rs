//! Layers: each wraps a [`Model`](crate::Model) and is one. Their order, and why, is in [`stack`](crate::stack).

pub mod admit;
mod alarm;
pub mod cache;
pub mod coalesce;
pub mod deadline;
pub mod meter;
pub mod queue;
pub mod retry;
pub mod spend;
pub mod timeout;
pub mod validate;
