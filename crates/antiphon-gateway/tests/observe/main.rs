//! What the gateway tells of its calls: metrics, traces, the access log, health.

#![allow(missing_docs, reason = "a test")]

mod exposition;
mod health;
mod log;
mod metrics;
mod support;
mod traces;
mod upstream;
