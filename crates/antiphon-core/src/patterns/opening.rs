//! Waiting for an answer to begin in earnest: until then another model may still take its place.

use futures_util::{StreamExt, stream};

use crate::{Body, ChatRequest, ChatResponse, Error, ErrorKind, SharedModel};

/// Calls and waits for the whole answer, or for the first delta of a stream that carries something. Deltas of mere
/// bookkeeping before it are handed on with it.
pub(super) async fn opened(
    model: &SharedModel,
    request: ChatRequest,
) -> Result<ChatResponse, Error> {
    let ChatResponse { head, body } = model.call(request).await?;
    let body = match body {
        Body::Ready(answer) => Body::Ready(answer),
        Body::Whole(answer) => Body::Ready(answer.await?),
        Body::Stream(mut deltas) => {
            let mut first = Vec::new();
            loop {
                let Some(delta) = deltas.next().await else {
                    let message = "the stream ended before its finish reason";
                    return Err(
                        Error::new(ErrorKind::BadResponse, message).with_attempts(head.attempts)
                    );
                };
                let delta = delta?;
                let begun = delta.has_content() || delta.finish_reason.is_some();
                first.push(Ok(delta));
                if begun {
                    break;
                }
            }
            Body::Stream(Box::pin(stream::iter(first).chain(deltas)))
        }
    };
    Ok(ChatResponse { head, body })
}
