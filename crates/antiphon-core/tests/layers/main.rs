//! Layers and their stack, driven through hand-written leaves in paused time.

#![allow(missing_docs, reason = "a test")]

mod admit;
mod cache;
mod coalesce;
mod continues;
mod meter;
mod outage;
mod retry;
mod scripted;
mod spend;
mod timeout;
mod validate;
