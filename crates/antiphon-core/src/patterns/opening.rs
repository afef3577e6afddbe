//! Waiting for an answer to begin in earnest: until then another model may still take its place.

use futures_util::{StreamExt, stream};

use crate::{Body, ChatRequest, ChatResponse, Error, ErrorKind, SharedModel, chat::Member};

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

/// What is known of a member that answers. The text of a stream, and what it used, come with its deltas.
pub(super) fn told(response: &ChatResponse) -> Member {
    let head = &response.head;
    let text = match &response.body {
        Body::Ready(answer) => Some(answer.text.clone()),
        _ => None,
    };
    let mut member = Member::answered(&head.model, text, response.spent_so_far());
    if head.cached {
        // nothing was paid for it, which is known
        member.usage.get_or_insert_default();
    }
    member
}
