//! [`multiplex`]: many answers as they are written, in one stream.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt, stream::SelectAll};

use super::{
    occurrence::tell_calls_apart,
    text_stream::{TextDelta, TextStream},
};
use crate::{ChatRequest, Error, Reply, SharedModel};

/// What there is to tell of one of the answers.
#[derive(Clone, Debug)]
pub enum Partial {
    /// The next piece of its text.
    Text(String),
    /// It is whole. Nothing more comes of it.
    Finished(Box<Reply>),
    /// It failed; what was told of its text may be shown or taken back. Nothing more comes of it.
    Failed(Error),
}

/// Asks for the answers to many requests, at most `limit` at once, and gives all their pieces as one stream of
/// `(index, piece)`: what a user interface shows side by side. The pieces of an answer come in order; answers take turns,
/// so that a fast one does not silence the others. Dropping the stream cancels what is in flight.
///
/// Each request ends with exactly one [`Partial::Finished`] or [`Partial::Failed`].
pub fn multiplex<R: Into<ChatRequest>>(
    model: SharedModel,
    requests: impl IntoIterator<Item = R>,
    limit: NonZeroUsize,
) -> Multiplex {
    let call = |request: R| (SharedModel::clone(&model), request);
    multiplex_models(requests.into_iter().map(call), limit)
}

/// As [`multiplex`], with a model for each request: several models that answer one question, for instance.
pub fn multiplex_models<R: Into<ChatRequest>>(
    calls: impl IntoIterator<Item = (SharedModel, R)>,
    limit: NonZeroUsize,
) -> Multiplex {
    let calls = calls.into_iter();
    let mut calls: Vec<Call> = calls.map(|(model, r)| (model, r.into())).collect();
    tell_calls_apart(
        calls
            .iter_mut()
            .map(|(model, request)| (model.name(), request)),
    );
    Multiplex {
        waiting: calls.into_iter().enumerate().collect(),
        flowing: SelectAll::new(),
        limit: limit.get(),
    }
}

type Call = (SharedModel, ChatRequest);

/// The stream of [`multiplex`] and [`multiplex_models`].
pub struct Multiplex {
    waiting: VecDeque<(usize, Call)>,
    flowing: SelectAll<Flow>,
    limit: usize,
}

impl Multiplex {
    /// The next piece of any answer; `None` after the last.
    pub async fn next(&mut self) -> Option<(usize, Partial)> {
        StreamExt::next(self).await
    }

    fn fill(&mut self) {
        while self.flowing.len() < self.limit
            && let Some((index, (model, request))) = self.waiting.pop_front()
        {
            let stream = TextStream::new(&model, request);
            self.flowing.push(Flow { index, stream });
        }
    }
}

impl Stream for Multiplex {
    type Item = (usize, Partial);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            this.fill();
            match this.flowing.poll_next_unpin(context) {
                // an answer that ended has made room, and nobody else would wake us for it
                Poll::Pending if this.flowing.len() < this.limit && !this.waiting.is_empty() => {}
                Poll::Ready(None) if !this.waiting.is_empty() => {}
                other => return other,
            }
        }
    }
}

impl std::fmt::Debug for Multiplex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Multiplex")
            .field("waiting", &self.waiting.len())
            .field("flowing", &self.flowing.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// One of the answers.
struct Flow {
    index: usize,
    stream: TextStream,
}

impl Stream for Flow {
    type Item = (usize, Partial);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let partial = match std::task::ready!(this.stream.poll_next_unpin(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => Partial::Failed(error),
                Some(Ok(TextDelta {
                    end: Some(reply), ..
                })) => Partial::Finished(reply),
                // tools and refusals are in the whole reply
                Some(Ok(TextDelta { text, .. })) if text.is_empty() => continue,
                Some(Ok(TextDelta { text, .. })) => Partial::Text(text),
            };
            return Poll::Ready(Some((this.index, partial)));
        }
    }
}
