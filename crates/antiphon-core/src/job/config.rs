//! Settings of a job.

use super::{ledger::Verdict, sink::Order};

/// Settings of a job that concern rows; those of calls are in the models' stacks.
#[derive(Clone, Debug)]
pub struct JobConfig {
    /// Order of the output.
    pub order: Order,
    /// Read no more rows than this.
    pub limit: Option<u64>,
    /// Send rows again that failed for good.
    pub retry_failed: bool,
    /// Stop when a larger share of the finished rows has failed (from 100 rows on).
    pub max_error_rate: Option<f64>,
    /// Equal rows may share a call; else each of them is a sample of its own.
    pub share_equal_rows: bool,
    /// Keep the raw line in the output.
    pub include_input: bool,
    /// Whether raw lines are JSON (else they are text, and become a JSON string in the output).
    pub input_is_json: bool,
    /// Calls in the window, of rows that are read and not yet durable. Larger than the models' concurrency, because rows in
    /// back-off hold their places.
    pub window_rows: u32,
}

impl JobConfig {
    /// Whether an outcome of an earlier run stands.
    pub fn is_done(&self, verdict: Option<Verdict>) -> bool {
        match verdict {
            None => false,
            Some(Verdict { error: None }) => true,
            Some(Verdict { error: Some(kind) }) => !kind.is_transient() && !self.retry_failed,
        }
    }
}
