//! What is told of each call, and to whom: metrics, traces, the access log and the dashboard are observers.

mod health;
mod log;
mod look;
mod metrics;
mod traces;
mod watch;

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use antiphon::{ErrorKind, Spent};

use crate::Running;

pub(crate) use health::{healthy, ready};
pub use log::{AccessLog, Content, LogTarget};
pub(crate) use look::may_look;
pub(crate) use metrics::{GatewayMetrics, scraped};
pub use traces::{CallSpan, Traces};
pub(crate) use watch::{Remote, Watch};

/// Is told of every call to a model. Called on the path of each: what takes time belongs elsewhere.
pub trait Observer: Send + Sync + fmt::Debug {
    /// This configuration is running from now on. Told once at the start, and whenever another one takes its place.
    fn runs(&self, _running: &Running) {}

    /// A call has been read and will be put to its model.
    fn began(&self, _call: &CallBegan) {}

    /// Opens a span for a call that is about to begin. What is put to its model carries the span's `traceparent` in place
    /// of the caller's. One observer does, at most.
    fn span(&self, _call: &CallBegan) -> Option<CallSpan> {
        None
    }

    /// Whether it wants to be told what was asked and answered ([`CallEnded::content`]).
    fn wants_content(&self) -> bool {
        false
    }

    /// What it could not pass on, and how often, since the start.
    fn dropped(&self) -> Option<(&'static str, u64)> {
        None
    }

    /// The first piece of an answer is on its way to the caller, this long after the request came.
    fn first_piece(&self, _call: &CallBegan, _after: Duration) {}

    /// It has ended; every call that began does, also when its caller is gone.
    fn ended(&self, call: &CallEnded);
}

/// A call that is under way.
#[derive(Clone, Debug)]
pub struct CallBegan {
    /// The gateway's id of the request.
    pub id: Arc<str>,
    /// When it came.
    pub at: SystemTime,
    /// The name of the caller's key; `None` where no keys are used.
    pub caller: Option<Arc<str>>,
    /// The caller's wire format: `openai`, `anthropic`, `openai-responses`.
    pub wire: &'static str,
    /// The model as the caller named it; empty where it did not.
    pub asked: Arc<str>,
    /// Whether the answer was asked for as a stream.
    pub is_streamed: bool,
    /// Where it came from, as the socket says.
    pub remote: Option<IpAddr>,
    /// `traceparent` of the caller (W3C Trace Context).
    pub traceparent: Option<Arc<str>>,
    /// Its span, where calls are traced.
    pub span: Option<CallSpan>,
}

/// A call as it ended.
#[derive(Clone, Debug)]
pub struct CallEnded {
    /// What was known at its beginning.
    pub call: CallBegan,
    /// The HTTP status that the caller got.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// The model that answered, provider/model; `None` where none did.
    pub model: Option<Arc<str>>,
    /// From the request's arrival to the answer's end.
    pub took: Duration,
    /// From the request's arrival to the first piece of an answer; for whole answers the same as `took`.
    pub first_piece: Option<Duration>,
    /// Attempts on the wire.
    pub attempts: u32,
    /// What all attempts used and cost.
    pub spent: Spent,
    /// Whether the answer was at hand.
    pub is_cached: bool,
    /// Why the model stopped.
    pub finish_reason: Option<Arc<str>>,
    /// The provider's own id of the request.
    pub upstream_id: Option<Arc<str>>,
    /// What went wrong, for people; no prompt and no answer is in it.
    pub error: Option<Arc<str>>,
    /// What was asked and answered, where an observer wants it.
    pub content: Option<Arc<Content>>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer.
    Answered,
    /// With an error, of this kind.
    Failed(ErrorKind),
    /// The caller hung up.
    HungUp,
}

/// The most of what a caller or a provider wrote that is told in one place, in bytes: names and ids are shorter.
const SHORT: usize = 200;

/// The beginning of a text that others wrote, which may be of any length.
fn short(text: &str) -> &str {
    cut(text, SHORT)
}

/// As much of the beginning of a text as fits into so many bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
