//! What a job reads: the input, each row of it as often as there are ways to ask it.

use std::io;

use antiphon_core::job::{ProgressSnapshot, Source};
use antiphon_store::sources::Repeated;

use super::{Input, RunError};

/// An input and how often each of its rows comes.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) input: Input,
    /// 1 or more.
    pub(super) times: u32,
}

impl Feed {
    /// Opens it.
    pub(super) fn open(&self) -> Result<Box<dyn Source>, RunError> {
        let source = self.input.open()?;
        Ok(match self.times {
            1 => source,
            times => Box::new(Repeated::new(source, times)),
        })
    }

    /// It broke while it was read.
    pub(super) fn unreadable(&self, error: &io::Error) -> RunError {
        self.input.unreadable(error)
    }

    /// So many rows of the input are so many rows of the job.
    pub(super) fn rows(&self, of_input: u64) -> u64 {
        of_input.saturating_mul(u64::from(self.times))
    }

    /// All rows of a job that stopped before it had read them all; `None` where the input cannot be read a second time.
    pub(super) fn count_rows(&self, read: &ProgressSnapshot, limit: Option<u64>) -> Option<u64> {
        let most = limit.unwrap_or(u64::MAX);
        // a row that was read is all its times, although they were not all planned
        let begun = read.planned.div_ceil(u64::from(self.times));
        let of_input = self.input.count_rows(begun, read.read_bytes, most)?;
        Some(self.rows(of_input).min(most))
    }
}
