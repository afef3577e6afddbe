//! Patterns, driven through scripted models in paused time.

#![allow(missing_docs, reason = "a test")]

mod analyze;
mod answering;
mod ensemble;
mod map_reduce;
mod map_reduce_failures;
mod map_reduce_journal;
mod reduce_tree;
mod review;
mod split;
