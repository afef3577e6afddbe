//! The latest calls.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use antiphon::ErrorKind;
use serde::Serialize;

use super::counts::ToldSpent;
use crate::observe::{CallEnded, Outcome};

/// Characters of a name or a message that are kept: both may come from anybody, and be as long as a body.
const LONGEST_TEXT: usize = 300;

/// A call, as little of it as is kept.
#[derive(Clone, Debug)]
pub(super) struct Latest {
    ended: CallEnded,
}

/// The latest calls, the latest last.
#[derive(Debug)]
pub(super) struct LatestCalls {
    most: usize,
    calls: VecDeque<Latest>,
}

/// A call as the page is told of it.
#[derive(Debug, Serialize)]
pub(super) struct ToldCall {
    id: String,
    /// When it came, milliseconds since 1970 UTC.
    at_ms: u64,
    asked: String,
    /// The model that answered.
    model: Option<String>,
    caller: Option<String>,
    is_streamed: bool,
    is_cached: bool,
    status: u16,
    outcome: &'static str,
    /// The code of its error.
    kind: Option<&'static str>,
    took_ms: f64,
    first_token_ms: Option<f64>,
    attempts: u32,
    finish_reason: Option<String>,
    error: Option<String>,
    #[serde(flatten)]
    spent: ToldSpent,
}

impl LatestCalls {
    /// So many at most.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            calls: VecDeque::with_capacity(most + 1),
        }
    }

    /// One more has ended.
    pub(super) fn push(&mut self, ended: &CallEnded) {
        if self.calls.len() == self.most {
            self.calls.pop_front();
        }
        self.calls.push_back(Latest::of(ended));
    }

    /// A copy, of counted references only.
    pub(super) fn copy(&self) -> Vec<Latest> {
        self.calls.iter().cloned().collect()
    }
}

impl Latest {
    fn of(ended: &CallEnded) -> Self {
        let mut ended = ended.clone();
        ended.call.traceparent = None;
        ended.upstream_id = None;
        ended.call.asked = short(&ended.call.asked);
        for text in [
            &mut ended.error,
            &mut ended.model,
            &mut ended.finish_reason,
            &mut ended.call.caller,
        ] {
            *text = text.as_ref().map(short);
        }
        Self { ended }
    }

    pub(super) fn told(self) -> ToldCall {
        let ended = self.ended;
        let owned = |text: Option<Arc<str>>| text.map(|text| text.to_string());
        let milliseconds = |took: Duration| took.as_secs_f64() * 1e3;
        ToldCall {
            at_ms: epoch_ms(ended.call.at),
            is_streamed: ended.call.is_streamed,
            is_cached: ended.is_cached,
            status: ended.status,
            outcome: match ended.outcome {
                Outcome::Answered => "answered",
                Outcome::Failed(_) => "failed",
                Outcome::HungUp => "hung_up",
            },
            kind: kind(&ended).map(ErrorKind::code),
            took_ms: milliseconds(ended.took),
            first_token_ms: super::tallies::first_token(&ended).map(milliseconds),
            attempts: ended.attempts,
            spent: ended.spent.into(),
            id: ended.call.id.to_string(),
            asked: ended.call.asked.to_string(),
            caller: owned(ended.call.caller),
            model: owned(ended.model),
            finish_reason: owned(ended.finish_reason),
            error: owned(ended.error),
        }
    }
}

/// The kind of error that a call ended with.
pub(super) fn kind(ended: &CallEnded) -> Option<ErrorKind> {
    match ended.outcome {
        Outcome::Failed(kind) => Some(kind),
        _ => None,
    }
}

/// Milliseconds since 1970 UTC.
pub(super) fn epoch_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

/// The text, cut where it is longer than anybody reads.
pub(super) fn short(text: &Arc<str>) -> Arc<str> {
    if text.len() <= LONGEST_TEXT {
        return Arc::clone(text);
    }
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => Arc::clone(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let cut = |text: &str| short(&text.into()).to_string();
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"é".repeat(300)), "é".repeat(300));
        assert_eq!(cut(&"é".repeat(301)), "é".repeat(300) + "…");
        assert_eq!(cut(&"x".repeat(1 << 20)).len(), 300 + "…".len());
    }
}
