//! What a job reads: the input or a sample of it, each row as often as there are ways to ask it.

use std::io;

use antiphon_core::job::{ProgressSnapshot, Source};
use antiphon_store::sources::{Drawn, Repeated, Sampled};

use super::{Input, RunError};

/// An input, which of its rows are read, and how often each comes.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) input: Input,
    /// 1 or more.
    pub(super) times: u32,
    /// The rows that are read, where it is not all of them.
    pub(super) drawn: Option<Drawn>,
}

impl Feed {
    /// Draws so many of the first `limit` rows. The input is counted for that, so it can be read again.
    pub(super) fn draw(&mut self, sample: u64, limit: Option<u64>) -> Result<(), RunError> {
        let most = limit.unwrap_or(u64::MAX);
        let Some(rows) = self.input.count_rows(0, 0, most) else {
            // it is opened for its own error
            self.input.open()?;
            let message = format!("{} cannot be counted", self.input.name());
            return Err(RunError::usage(message));
        };
        self.drawn = Some(Drawn::of(rows.min(most), sample));
        Ok(())
    }

    /// Opens it.
    pub(super) fn open(&self) -> Result<Box<dyn Source>, RunError> {
        let source = self.input.open()?;
        let repeated = match self.times {
            1 => source,
            times => Box::new(Repeated::new(source, times)),
        };
        Ok(match self.drawn {
            None => repeated,
            Some(drawn) => Box::new(Sampled::new(repeated, drawn, self.times)),
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

    /// The most rows that the job reads, of the `limit` rows of the input that it may.
    pub(super) fn most_rows(&self, limit: Option<u64>) -> Option<u64> {
        let of_input = self.drawn.map(|drawn| drawn.rows()).or(limit);
        of_input.map(|rows| self.rows(rows))
    }

    /// All rows of a job that stopped before it had read them all; `None` where the input cannot be read a second time.
    pub(super) fn count_rows(&self, read: &ProgressSnapshot, limit: Option<u64>) -> Option<u64> {
        if let Some(drawn) = self.drawn {
            return Some(self.rows(drawn.rows()));
        }
        let most = limit.unwrap_or(u64::MAX);
        // a row that was read is all its times, although they were not all planned
        let begun = read.planned.div_ceil(u64::from(self.times));
        let of_input = self.input.count_rows(begun, read.read_bytes, most)?;
        Some(self.rows(of_input).min(most))
    }
}
