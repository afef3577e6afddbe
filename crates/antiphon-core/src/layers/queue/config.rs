//! How a queue treats its calls.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use super::gate::Scope;
use crate::{Error, ErrorKind, Spent};

/// What a failed call means for the others. Calls that are out already end as they end.
///
/// An error that [stops the run](Error::stops_the_run) (the client is gone, the key is wrong) ends all queued and later
/// calls under each policy. A call that was [given up](ErrorKind::is_given_up) on this side has failed nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing: it fails alone.
    #[default]
    Isolate,
    /// All queued and later calls fail with the same error, unsent, until [`Queue::reset`](super::Queue::reset).
    Poison,
    /// The same of the calls of its group: those of one [`Queue::around`](super::Queue::around).
    SkipGroup,
}

impl OnFailure {
    /// Which calls fail with one that failed like this, and with what.
    pub(super) fn closes(self, error: &Error) -> Option<(Scope, Error)> {
        let scope = match self {
            _ if error.stops_the_run() => Scope::Whole,
            // a tool call that ended meanwhile, for instance: nothing has failed
            _ if error.kind().is_given_up() => return None,
            Self::Isolate => return None,
            Self::Poison => Scope::Whole,
            Self::SkipGroup => Scope::Group,
        };
        // the others were not sent, and what the failed call has used is paid once
        let same = error.clone().with_attempts(0).with_spent(Spent::default());
        Some((scope, same.not_sent()))
    }
}

/// Settings of a [`Queue`](super::Queue).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// What a failed call means for the others.
    pub on_failure: OnFailure,
    /// How long a call may be out, to the end of its answer; waiting in line does not count, and one that is taken back and
    /// asked again begins anew. A stream is held to it whenever it is read: one that is kept and not read keeps its place.
    /// `None`: as long as it takes.
    pub call_timeout: Option<Duration>,
    /// Calls that may wait. One more is refused at once. `None`: any number.
    pub longest: Option<NonZeroUsize>,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            on_failure: OnFailure::default(),
            // a person may be reading what they are to approve
            call_timeout: Some(Duration::from_secs(600)),
            longest: None,
        }
    }
}

/// A call was out for too long. It is not made again: a person who has not said yes within the time is not helped by a
/// second question beside the first.
pub(super) fn timed_out(limit: Duration) -> Error {
    let message = format!(
        "no complete answer within {limit:?}; a person may have had to approve the call: a longer `call_timeout` leaves \
         them more time"
    );
    Error::new(ErrorKind::Timeout, message)
        .with_attempts(1)
        .with_should_retry(Some(false))
}

/// As many calls wait as may.
pub(super) fn too_long(waiting: usize, limit: NonZeroU32) -> Error {
    let calls = |count: usize| {
        if count == 1 {
            "call waits"
        } else {
            "calls wait"
        }
    };
    let message = format!(
        "{waiting} {} for a model that bears {limit} at once, and no more may: ask again when fewer do",
        calls(waiting)
    );
    Error::turned_away(ErrorKind::Overloaded, message, None)
}
