//! [`Verdict`]: what a client was seen to bear, and where that is remembered.

use std::{fmt, num::NonZeroU32};

/// Name and version, as a client says them of itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName {
    /// Its name.
    pub name: String,
    /// Its version. Another one is measured anew.
    pub version: String,
}

/// What a client was seen to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Calls at once that were shown to work.
    pub width: NonZeroU32,
    /// What is not tried again: so many calls at once, and more.
    pub refused: Option<Refused>,
}

/// A number of calls at once that did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The number.
    pub width: NonZeroU32,
    /// What was seen with it.
    pub reason: Reason,
}

/// Why a number of calls at once is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// They take as much longer as they are more: the client lets some of them wait.
    NoGain,
    /// Calls get the answers of others.
    CrossTalk,
    /// Answers do not come any more.
    Deadlock,
    /// Calls fail that do not fail alone.
    Breaks,
}

impl Reason {
    const NAMES: [(Self, &str); 4] = [
        (Self::NoGain, "no_gain"),
        (Self::CrossTalk, "cross_talk"),
        (Self::Deadlock, "deadlock"),
        (Self::Breaks, "breaks"),
    ];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(reason, _)| *reason == self);
        named.map_or("unknown", |(_, name)| name)
    }

    /// The reason that a file names.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = Self::NAMES.iter().find(|(_, known)| *known == name);
        named.map(|(reason, _)| *reason)
    }

    /// Whether more calls at once do harm, not just nothing.
    pub(super) fn is_harm(self) -> bool {
        self != Self::NoGain
    }
}

impl Verdict {
    /// Whether it can have been found: what works is narrower than what does not.
    pub(super) fn is_sound(&self) -> bool {
        let width = self.width.get();
        let is_narrower = |refused: Refused| width < refused.width.get();
        width <= super::WIDEST && self.refused.is_none_or(is_narrower)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.width.get(), self.refused) {
            (1, Some(refused)) if refused.reason == Reason::NoGain => {
                return write!(f, "handles calls one after the other");
            }
            (1, _) => write!(f, "handles one call")?,
            (width, _) => write!(f, "handles {width} calls at once")?,
        }
        let Some(Refused { width, reason }) = self.refused else {
            return Ok(());
        };
        match reason {
            Reason::NoGain => write!(f, "; {width} gain nothing"),
            Reason::CrossTalk => write!(f, "; with {width} it mixes answers up"),
            Reason::Deadlock => write!(f, "; with {width} it falls silent"),
            Reason::Breaks => write!(f, "; with {width} calls fail"),
        }
    }
}

/// Where verdicts are remembered.
pub trait Verdicts: Send + Sync + fmt::Debug {
    /// What is known of a client.
    fn known(&self, client: &ClientName) -> Option<Verdict>;

    /// What was seen of a client; it replaces what was known. It is called under the lock of a queue and must not wait.
    fn learned(&self, client: &ClientName, verdict: Verdict);
}

/// Remembers nothing: each session begins anew.
impl Verdicts for () {
    fn known(&self, _client: &ClientName) -> Option<Verdict> {
        None
    }

    fn learned(&self, _client: &ClientName, _verdict: Verdict) {}
}
