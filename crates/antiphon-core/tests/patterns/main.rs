//! Patterns, driven through scripted models in paused time.

#![allow(missing_docs, reason = "a test")]

mod analyze;
mod answering;
mod batch;
mod batch_limits;
mod batch_objects;
mod batcher;
mod byte_budget;
mod conversation;
mod ensemble;
mod fallback;
mod fan_out;
mod grouped_batch;
mod map_reduce;
mod map_reduce_failures;
mod map_reduce_journal;
mod members;
mod multiplex;
mod poll;
mod race;
mod reduce_tree;
mod rehearsed;
mod rescue;
mod review;
mod split;
mod tally;
mod variations;
mod vote_accuracy;
mod vote_change;
mod vote_fields;
mod waves;
