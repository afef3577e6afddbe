//! [`TextStream`]: an answer as it is written.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use crate::{
    Answer, Body, BoxFuture, ChatDelta, ChatRequest, ChatResponse, Error, Head, Reply, SharedModel,
    Usage,
    chat::{Delivery, DeltaStream, Fold, ToolCallDelta, deltas_of},
};

/// A piece of an answer. The last one has no text of its own and carries the whole reply.
#[derive(Clone, Debug)]
pub struct TextDelta {
    /// Which piece of the answer this is, from 0.
    pub index: usize,
    /// The next piece of text.
    pub text: String,
    /// The next piece of a refusal's words.
    pub refusal: Option<String>,
    /// The next pieces of tool calls.
    pub tool_calls: Vec<ToolCallDelta>,
    /// The whole reply, on the last piece only.
    pub end: Option<Box<Reply>>,
}

impl TextDelta {
    /// Tokens of the call, told with the last piece.
    pub fn usage(&self) -> Option<Usage> {
        self.end.as_ref()?.usage()
    }
}

/// The pieces of one answer, then one last piece with the whole reply and its usage. Nothing is sent before the stream is
/// polled, and dropping it cancels the call.
///
/// An answer that a schema or another layer needs whole comes as a single piece.
pub struct TextStream {
    state: State,
    fold: Fold,
    next: usize,
}

enum State {
    Calling(BoxFuture<'static, Result<ChatResponse, Error>>),
    Whole(Box<Head>, BoxFuture<'static, Result<Answer, Error>>),
    Flowing(Box<Head>, DeltaStream),
    /// The last piece is ready.
    Ended(Box<Reply>),
    Over,
}

impl TextStream {
    /// Asks the model for an answer as it is written.
    pub fn new(model: &SharedModel, mut request: ChatRequest) -> Self {
        request.delivery = Delivery::Streamed;
        let model = SharedModel::clone(model);
        Self {
            state: State::Calling(Box::pin(async move { model.call(request).await })),
            fold: Fold::new(),
            next: 0,
        }
    }

    /// The next piece; `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<TextDelta, Error>> {
        StreamExt::next(self).await
    }

    /// The whole reply, whatever has been read so far.
    ///
    /// # Errors
    /// What ended the answer early, or that it has been told before.
    pub async fn whole(mut self) -> Result<Reply, Error> {
        while let Some(delta) = self.next().await {
            if let Some(reply) = delta?.end {
                return Ok(*reply);
            }
        }
        Err(Error::stopped("the stream was read to its end before"))
    }

    fn piece(&mut self, delta: ChatDelta) -> TextDelta {
        let index = self.next;
        self.next += 1;
        TextDelta {
            index,
            text: delta.text,
            refusal: delta.refusal,
            tool_calls: delta.tool_calls,
            end: None,
        }
    }

    /// Takes a step; `None` where nothing has come of it that the reader must see.
    fn step(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<TextDelta>, Error>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Calling(mut call) => match call.as_mut().poll(context) {
                Poll::Pending => {
                    self.state = State::Calling(call);
                    Poll::Pending
                }
                Poll::Ready(response) => Poll::Ready(response.map(|response| self.begin(response))),
            },
            State::Whole(head, mut answer) => match answer.as_mut().poll(context) {
                Poll::Pending => {
                    self.state = State::Whole(head, answer);
                    Poll::Pending
                }
                Poll::Ready(answer) => {
                    Poll::Ready(answer.map(|answer| Some(self.in_one_piece(*head, answer))))
                }
            },
            State::Flowing(head, mut deltas) => match deltas.as_mut().poll_next(context) {
                Poll::Pending => {
                    self.state = State::Flowing(head, deltas);
                    Poll::Pending
                }
                Poll::Ready(Some(Ok(delta))) => {
                    self.state = State::Flowing(head, deltas);
                    self.fold.push(delta.clone());
                    Poll::Ready(Ok(delta.has_content().then(|| self.piece(delta))))
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(error)),
                Poll::Ready(None) => {
                    let fold = std::mem::take(&mut self.fold);
                    Poll::Ready(fold.finish(|_| Bytes::new()).map(|answer| {
                        self.end(*head, answer);
                        None
                    }))
                }
            },
            State::Ended(reply) => {
                let mut last = self.piece(ChatDelta::default());
                last.end = Some(reply);
                Poll::Ready(Ok(Some(last)))
            }
            State::Over => Poll::Ready(Ok(None)),
        }
    }

    fn begin(&mut self, response: ChatResponse) -> Option<TextDelta> {
        let ChatResponse { head, body } = response;
        match body {
            Body::Ready(answer) => return Some(self.in_one_piece(head, answer)),
            Body::Whole(answer) => self.state = State::Whole(Box::new(head), answer),
            Body::Stream(deltas) => self.state = State::Flowing(Box::new(head), deltas),
        }
        None
    }

    fn in_one_piece(&mut self, head: Head, answer: Answer) -> TextDelta {
        let said = deltas_of(&answer).into_iter().next();
        let delta = said.unwrap_or_default();
        self.end(head, answer);
        self.piece(delta)
    }

    fn end(&mut self, head: Head, answer: Answer) {
        let reply = Reply { head, answer }.released();
        self.state = State::Ended(Box::new(reply));
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

impl Stream for TextStream {
    type Item = Result<TextDelta, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.is_over() {
                return Poll::Ready(None);
            }
            if let Some(piece) = ready!(self.step(context)).transpose() {
                return Poll::Ready(Some(piece));
            }
        }
    }
}

impl std::fmt::Debug for TextStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextStream")
            .field("next", &self.next)
            .field("over", &self.is_over())
            .finish_non_exhaustive()
    }
}
