//! [`Rescue`]: what becomes of streams that break.

use futures_util::{StreamExt, stream};

use super::{asks::Asks, attempts, moves_on, used, watched::watched, with_earlier};
use crate::{
    Body, BoxFuture, ChatRequest, ChatResponse, Error, ErrorKind, Model, SharedModel,
    chat::Delivery,
};

/// Calls for one whole answer of a model whose streams break.
const CALLS_FOR_A_WHOLE: usize = 2;

/// What becomes of a streamed answer that breaks after some of it was handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RescueMode {
    /// It ends with its error.
    #[default]
    Off,
    /// It is asked for again, and goes on if the new answer begins with all that was handed out; else it ends with its
    /// error. See [`Rescue`].
    Verify,
    /// Nothing is handed out before the whole answer has come, so that what breaks is asked for again unseen. The first
    /// piece then takes as long as the last.
    Buffer,
}

impl RescueMode {
    /// The mode of this name: `off`, `verify` or `buffer`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "verify" => Some(Self::Verify),
            "buffer" => Some(Self::Buffer),
            _ => None,
        }
    }

    /// What it means for a request: whole answers come or fail in one piece, and of several answers side by side (`n`)
    /// only the first can be compared.
    pub(super) fn for_request(self, request: &ChatRequest) -> Self {
        let number = request.params.get("n").filter(|n| !n.is_null());
        let is_one = || number.is_none_or(|n| n.as_u64() == Some(1));
        match self {
            _ if request.delivery == Delivery::Whole => Self::Off,
            Self::Verify if !is_one() => Self::Off,
            mode => mode,
        }
    }
}

/// A model whose streams go on where they break. A chain does this with its next links: see
/// [`Fallback::with_rescue_mode`](super::Fallback::with_rescue_mode).
///
/// When a stream ends without its finish reason, the same request is put again, to the models that are left and to the one
/// that broke; a model that can [continue](Model::continues) a begun answer is first asked to. What the new answer says is
/// compared, byte by byte, with what was handed out. While it is the same it is swallowed, what goes beyond is handed out,
/// and at the first byte that differs it is dropped and the next is asked. So the pieces that were handed out are at all
/// times the beginning of one model's answer, never of two. Where nobody continues it, the stream ends with an error of
/// the kind that broke it.
///
/// - Text, refusals and tool calls must come in the order in which they came before, and calls must have the same names. Ids
///   of calls stay those that were handed out.
/// - Thoughts ([`ChatDelta::reasoning`](crate::ChatDelta::reasoning)) are not compared. Once any piece was handed out, no
///   more of them are: where the stream broke in its thoughts, the answer itself is told from its start.
/// - Pieces after the break are in no wire form; the first of them names the model that goes on. Usage then counts what all
///   calls have told, and [`ChatDelta::spent`](crate::ChatDelta::spent) on the last piece what all of them used, beside
///   what the head has told.
/// - Requests for several answers (`n`) end with their error.
#[derive(Debug)]
pub struct Rescue {
    inner: SharedModel,
    mode: RescueMode,
}

impl Rescue {
    /// What becomes of the streams of `inner`.
    pub fn new(inner: SharedModel, mode: RescueMode) -> Self {
        Self { inner, mode }
    }

    async fn run(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        match self.mode.for_request(&request) {
            RescueMode::Off => self.inner.call(request).await,
            RescueMode::Buffer => collected(&self.inner, request).await,
            RescueMode::Verify => {
                let response = self.inner.call(request.clone()).await?;
                Ok(watched(response, Asks::of_model(&self.inner, request)))
            }
        }
    }
}

impl Model for Rescue {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.run(request))
    }
}

/// Calls and waits for the whole answer, which stays a stream: its pieces are in the form of their wire. An answer that
/// breaks on its way is asked for once more.
pub(super) async fn collected(
    model: &SharedModel,
    request: ChatRequest,
) -> Result<ChatResponse, Error> {
    let mut failures = Vec::new();
    loop {
        let response = model.call(request.clone()).await;
        let ChatResponse { mut head, body } =
            response.map_err(|error| with_earlier(error, &failures))?;
        let whole = match body {
            Body::Ready(answer) => Ok(Body::Ready(answer)),
            Body::Whole(answer) => answer.await.map(Body::Ready),
            Body::Stream(mut deltas) => {
                let mut pieces = Vec::new();
                let mut is_whole = false;
                loop {
                    match deltas.next().await {
                        Some(Ok(delta)) => {
                            is_whole |= delta.finish_reason.is_some();
                            pieces.push(Ok(delta));
                        }
                        Some(Err(error)) if !is_whole => break Err(error),
                        None if !is_whole => {
                            let message = "the stream ended before its finish reason";
                            break Err(Error::new(ErrorKind::BadResponse, message));
                        }
                        _ => break Ok(Body::Stream(Box::pin(stream::iter(pieces)))),
                    }
                }
            }
        };
        match whole {
            Ok(body) => {
                head.earlier += used(&failures);
                head.attempts = attempts(head.attempts, &failures);
                return Ok(ChatResponse { head, body });
            }
            Err(error) => {
                let made = error.attempts().max(head.attempts);
                let error = error.with_attempts(made);
                if !moves_on(&error) || failures.len() + 1 == CALLS_FOR_A_WHOLE {
                    return Err(with_earlier(error, &failures));
                }
                // the permit that the next call may need
                drop(head);
                failures.push(error);
            }
        }
    }
}
