//! What a queue has seen.

use std::{num::NonZeroU32, time::Duration};

/// A picture of a [`Queue`](super::Queue); cheap to take. What is counted is counted since the queue was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSnapshot {
    /// Calls that wait now.
    pub waiting: usize,
    /// The most calls that waited at once.
    pub most_waiting: usize,
    /// Calls that are out now.
    pub out: usize,
    /// Calls that may be out at once now.
    pub limit: NonZeroU32,
    /// The most calls that were out at once.
    pub most_out: usize,
    /// Times that a call was let out. One that was taken back is let out again.
    pub let_out: u64,
    /// Calls that were refused: too many waited, or another had failed. They were not sent.
    pub refused: u64,
    /// Calls that failed when they were out.
    pub failed: u64,
    /// Time that all calls together that were let out have waited for it.
    pub waited: Duration,
    /// The longest that one of them has waited.
    pub longest_wait: Duration,
}

impl QueueSnapshot {
    pub(super) fn new(limit: NonZeroU32) -> Self {
        Self {
            waiting: 0,
            most_waiting: 0,
            out: 0,
            limit,
            most_out: 0,
            let_out: 0,
            refused: 0,
            failed: 0,
            waited: Duration::ZERO,
            longest_wait: Duration::ZERO,
        }
    }
}
