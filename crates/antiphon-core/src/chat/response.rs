//! What comes back: a head of facts, then a body that may be whole or flowing.

use std::{any::Any, borrow::Cow, fmt, pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};

use super::{Answer, ChatDelta, Fold, Gathered, Reply};
use crate::{BoxFuture, Error};

/// One dimension of a provider's limit, as its headers tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LimitWindow {
    /// Allowance per minute.
    pub limit: Option<f64>,
    /// What is left of it now.
    pub remaining: Option<f64>,
    /// Time until the allowance is *full* again, not until one request fits.
    pub reset: Option<Duration>,
}

/// The limits that an answer's headers tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RateLimits {
    /// Requests per minute.
    pub requests: LimitWindow,
    /// Tokens per minute, input and output together.
    pub tokens: LimitWindow,
    /// Input tokens per minute.
    pub input_tokens: LimitWindow,
    /// Output tokens per minute.
    pub output_tokens: LimitWindow,
}

/// Something reserved for a call that is given back when the last clone is dropped.
///
/// A job keeps the receipt until the outcome is committed, so that answers which exist only in memory count as in flight.
#[derive(Clone)]
pub struct Receipt(#[allow(dead_code, reason = "held for its drop")] Arc<dyn Any + Send + Sync>);

impl Receipt {
    /// A receipt for what the value gives back on drop.
    pub fn new(reserved: impl Any + Send + Sync) -> Self {
        Self(Arc::new(reserved))
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}

/// Facts about a response, known before its body.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The model that really answers, `provider/model`.
    pub model: String,
    /// HTTP status; 200 where there is no HTTP.
    pub status: u16,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// Parameters that the target cannot take and that were left out.
    pub dropped: Vec<String>,
    /// Limits told by the answer's headers.
    pub limits: RateLimits,
    /// Attempts made on the wire by this run, this one included; none where every part of an answer had been recorded.
    pub attempts: u32,
    /// What earlier attempts of the same call used: answers that were not good enough, models that were asked before.
    pub earlier: crate::Spent,
    /// Whether the answer was at hand: nothing was sent for it, and nothing paid.
    pub cached: bool,
    /// The wire format of the answer's body and of its pieces' events, by the name of its dialect; `None` where the body
    /// is nobody's.
    pub wire: Option<Cow<'static, str>>,
    /// What stands behind an answer that several calls made together. What they used is in the answer's.
    pub gathered: Option<Box<Gathered>>,
    /// What was reserved for the call.
    pub receipt: Option<Receipt>,
}

impl Head {
    /// What the call has used whose answer used this much. An answer that was at hand was paid for by another call.
    pub(crate) fn spent_on(&self, answer: crate::Spent) -> crate::Spent {
        match self.cached {
            true => self.earlier,
            false => answer + self.earlier,
        }
    }
}

/// The answer itself.
#[expect(
    clippy::large_enum_variant,
    reason = "every body ends as `Ready`: boxed, each answer would be allocated once more"
)]
pub enum Body {
    /// Already here.
    Ready(Answer),
    /// In one piece, on its way.
    Whole(BoxFuture<'static, Result<Answer, Error>>),
    /// As it is written.
    Stream(DeltaStream),
}

/// Pieces of a streamed answer. It ends after the finish reason, or with an error.
pub type DeltaStream = Pin<Box<dyn Stream<Item = Result<ChatDelta, Error>> + Send>>;

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(answer) => f.debug_tuple("Ready").field(answer).finish(),
            Self::Whole(_) => f.write_str("Whole"),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// A response: head and body.
#[derive(Debug)]
pub struct ChatResponse {
    /// Facts.
    pub head: Head,
    /// The answer.
    pub body: Body,
}

impl ChatResponse {
    /// What the call has used so far; what a body on its way uses is not known yet.
    pub(crate) fn spent_so_far(&self) -> crate::Spent {
        match &self.body {
            Body::Ready(answer) => self.head.spent_on(answer.spent),
            _ => self.head.earlier,
        }
    }

    /// Waits for the body. A stream is folded; its `Answer::body` is then empty, since only the dialect knows the
    /// wire form of a whole answer (dialects fold their own streams when asked for a whole answer).
    ///
    /// # Errors
    /// What ended the body early.
    pub async fn whole(self) -> Result<Reply, Error> {
        let answer = match self.body {
            Body::Ready(answer) => answer,
            Body::Whole(answer) => answer.await?,
            Body::Stream(mut deltas) => {
                let mut fold = Fold::new();
                while let Some(delta) = deltas.next().await {
                    fold.push(delta?);
                }
                fold.finish(|_| bytes::Bytes::new())?
            }
        };
        Ok(Reply {
            head: self.head,
            answer,
        })
    }
}
