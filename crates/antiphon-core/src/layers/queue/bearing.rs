//! [`Bearing`]: how many calls a model bears at once, as far as is known.

use std::{fmt, num::NonZeroU32};

use crate::{ErrorKind, Moment};

/// A call that was let out, by the number of its turn. A call that is asked again has a new number.
pub type Turn = u64;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was answered.
    Answered {
        /// Digest of what was asked: calls with the same one may well have the same answer.
        asked: u64,
        /// Digest of the answer's text.
        answer: u64,
        /// Bytes of the answer's text: short answers are the same by chance.
        bytes: usize,
    },
    /// It failed.
    Failed(ErrorKind),
    /// Its caller gave it up.
    Dropped,
}

/// Says how many calls may be out, and learns from what becomes of them. A plain machine of events and moments; its queue
/// holds the lock.
pub trait Bearing: Send + fmt::Debug {
    /// Calls that may be out at once now.
    fn limit(&self) -> NonZeroU32;

    /// A call was let out. `wanted` calls are out or waiting, this one included.
    fn started(&mut self, _turn: Turn, _wanted: usize, _now: Moment) {}

    /// A call ended. Each turn that was started ends so, or is withdrawn.
    fn ended(&mut self, _turn: Turn, _ending: Ending, _now: Moment) {}

    /// Whether a call that fails like this is asked again, because it was out beside others that it may have failed for.
    /// Whoever waits for it does not notice. If so its turn has ended. It is not asked of a call that was asked four times.
    fn excuses(&mut self, _turn: Turn, _kind: ErrorKind, _now: Moment) -> bool {
        false
    }

    /// When [`Bearing::withdrawn`] should be asked. After that it must be a later moment, else it is not asked again before
    /// something happens.
    fn look_at(&self) -> Option<Moment> {
        None
    }

    /// Calls that are taken back and asked again, because they were out beside others and nothing comes any more. Whoever
    /// waits for them does not notice.
    ///
    /// Nothing more is heard of such a turn, unless its call ends at the same moment, was asked four times already, or has a
    /// stream that flows: what was read of that cannot be taken back. Each call counts as out until it has really been dropped.
    fn withdrawn(&mut self, _now: Moment) -> Vec<Turn> {
        Vec::new()
    }
}

/// So many calls, always.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(pub NonZeroU32);

impl Bearing for Fixed {
    fn limit(&self) -> NonZeroU32 {
        self.0
    }
}
