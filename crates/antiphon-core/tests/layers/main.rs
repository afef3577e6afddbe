//! Layers and their stack, driven through hand-written leaves in paused time.

#![allow(missing_docs, reason = "a test")]

mod admit;
mod allowance;
mod breaker;
mod cache;
mod coalesce;
mod continues;
mod failover;
mod meter;
mod outage;
mod patience;
mod queue;
mod retry;
mod scripted;
mod spend;
mod timeout;
mod validate;
