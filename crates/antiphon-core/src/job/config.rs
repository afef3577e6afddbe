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
    /// Failures of this run and later ones stand, of whatever kind: it is the first of several that together are one run,
    /// of which each goes on where the one before was interrupted.
    pub failures_stand_since: Option<i64>,
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
            Some(Verdict { error: None, .. }) => true,
            Some(Verdict {
                error: Some(kind),
                run,
            }) => {
                let stands = self.failures_stand_since.is_some_and(|first| run >= first);
                stands || !kind.is_transient() && !self.retry_failed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind::{self, BadRequest, ServerError};

    fn config(retry_failed: bool, since: Option<i64>) -> JobConfig {
        JobConfig {
            order: Order::Input,
            limit: None,
            retry_failed,
            failures_stand_since: since,
            max_error_rate: None,
            share_equal_rows: false,
            include_input: false,
            input_is_json: true,
            window_rows: 1,
        }
    }

    #[test]
    fn a_failure_stands_by_its_kind_or_by_its_run() {
        let failed = |kind: ErrorKind, run| {
            Some(Verdict {
                error: Some(kind),
                run,
            })
        };
        assert!(config(false, None).is_done(failed(BadRequest, 1)));
        assert!(!config(false, None).is_done(failed(ServerError, 1)));
        assert!(!config(true, None).is_done(failed(BadRequest, 1)));
        // what earlier runs left is asked once more, and what that finds stands
        for retry_failed in [false, true] {
            assert!(!config(retry_failed, Some(5)).is_done(failed(ServerError, 4)));
            assert!(config(retry_failed, Some(5)).is_done(failed(ServerError, 5)));
            assert!(config(retry_failed, Some(5)).is_done(failed(BadRequest, 6)));
        }
        assert!(!config(true, Some(5)).is_done(failed(BadRequest, 4)));
        assert!(!config(true, Some(5)).is_done(None));
    }
}
