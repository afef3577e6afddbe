//! [`Stage`]: whether a client is being tried.

use std::time::Duration;

use super::{
    probe::Probe,
    sample::Times,
    verdict::{Reason, Verdict},
};

/// Calls at the last good width.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// How long those took that had about as much company as they may have.
    pub(super) times: Times,
    /// How long any took.
    pub(super) recent: Times,
    pub(super) ended: usize,
    pub(super) failed: usize,
}

/// What is let out now.
#[derive(Debug)]
pub(super) enum Stage {
    /// The last good width.
    Steady,
    /// A wider one.
    Probe(Probe),
    /// The last good width, or one, to compare with. The probe goes on after it.
    Rest(Rest),
}

/// Calls to compare a probe with.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) width: u32,
    /// Answers that are awaited.
    pub(super) left: usize,
    pub(super) probe: Probe,
    pub(super) suspicion: Option<Suspicion>,
}

/// What a probe has shown, if it does not happen without it. The verdict is told already, since a client that is stuck may never say anything again.
#[derive(Debug)]
pub(super) struct Suspicion {
    pub(super) reason: Reason,
    /// The verdict before.
    pub(super) before: Verdict,
    /// Who is silent for so long at the last good width is just slow.
    pub(super) slow: Duration,
}

impl Stage {
    /// The probe that goes on, or is interrupted.
    pub(super) fn probe(&mut self) -> Option<&mut Probe> {
        match self {
            Self::Steady => None,
            Self::Probe(probe) | Self::Rest(Rest { probe, .. }) => Some(probe),
        }
    }
}
