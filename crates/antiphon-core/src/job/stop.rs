//! Why a job ends before its last row, and the switches for it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::{Error, ErrorKind};

/// Why a job stopped early. Rows that were not finished stay pending.
#[derive(Clone, Debug)]
pub enum StopReason {
    /// The user asked for it.
    Interrupted,
    /// The key is wrong or the account is empty.
    Account(Error),
    /// The provider cannot be reached, or was down for too long.
    Unreachable(Error),
    /// The budget is used up.
    Budget(Error),
    /// The provider asked for a longer wait than `--max-wait`.
    WaitTooLong(Error),
    /// More rows failed than `--max-error-rate` allows.
    ErrorRate {
        /// Share of the finished rows that failed.
        rate: f64,
    },
    /// `--deadline` has come.
    Deadline,
    /// The ledger or the output cannot be written.
    Disk(Error),
    /// The reader at the other end of stdout is gone.
    OutputClosed,
    /// The input cannot be read on.
    Input(String),
}

impl StopReason {
    /// Why a call's error ends the whole job, where it does: it is not the row's own.
    pub fn of(error: &Error) -> Option<Self> {
        if error.kind() == ErrorKind::Ledger {
            return Some(Self::Disk(error.clone()));
        }
        if !error.stops_the_run() {
            return None;
        }
        let reason = match error.kind() {
            ErrorKind::Auth | ErrorKind::QuotaExhausted => Self::Account,
            ErrorKind::Budget => Self::Budget,
            ErrorKind::RateLimited => Self::WaitTooLong,
            _ => Self::Unreachable,
        };
        Some(reason(error.clone()))
    }
}

/// The switch that drains a job: nothing new is sent, what is in flight is waited for.
///
/// There is none for "at once": dropping the job, or killing the process, loses nothing but the answers in flight.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    drain: CancellationToken,
    reason: Arc<Mutex<Option<StopReason>>>,
}

impl Stop {
    /// A switch that nobody has thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to drain. The first reason stands, except that an interrupt outranks the others.
    pub fn drain(&self, reason: StopReason) {
        let mut slot = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() || matches!(reason, StopReason::Interrupted) {
            *slot = Some(reason);
        }
        drop(slot);
        self.drain.cancel();
    }

    /// Why the job stops, where it does.
    pub fn reason(&self) -> Option<StopReason> {
        self.reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Cancelled once nothing new shall be sent.
    pub fn draining(&self) -> &CancellationToken {
        &self.drain
    }
}
