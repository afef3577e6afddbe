//! Streamed answers as HTTP responses.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use antiphon::{
    Error,
    core::chat::{ChatDelta, DeltaStream, Head, Receipt, Reply, deltas_of},
    fronts::{Front, StreamWriter, Told},
};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::{answer, observe::Watch};

/// Pieces that are ready at the same time travel together, up to this size.
const FULL: usize = 16 << 10;

/// The response for a streamed answer.
pub(crate) fn response(
    head: Head,
    deltas: DeltaStream,
    front: &dyn Front,
    told: Told,
    watch: Watch,
) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let events = HeaderValue::from_static("text/event-stream; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, events);
    let no_cache = HeaderValue::from_static("no-cache");
    headers.insert(header::CACHE_CONTROL, no_cache);
    answer::describe(headers, &head, front, watch.id());
    let streamed = Streamed {
        ending: Box::pin(watch.gateway().calls().ending()),
        deltas: Some(deltas),
        writer: front.writer(&head, told),
        watch: Some(watch),
        waiting: BytesMut::new(),
        is_at_work: false,
        _receipt: head.receipt,
    };
    *response.body_mut() = Body::new(streamed);
    response
}

/// The response for an answer that came whole and was asked for as a stream.
pub(crate) fn in_pieces(
    reply: Reply,
    front: &dyn Front,
    told: Told,
    mut watch: Watch,
) -> Response<Body> {
    watch.whole(&reply);
    let Reply { mut head, answer } = reply;
    // the pieces are made here and are in nobody's wire format
    head.wire = None;
    let deltas = stream::iter(deltas_of(&answer).into_iter().map(Ok));
    response(head, Box::pin(deltas), front, told, watch)
}

/// The body of a streamed answer. Dropped, it drops the call.
struct Streamed {
    /// The gateway waits for it no longer.
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    deltas: Option<DeltaStream>,
    writer: Box<dyn StreamWriter>,
    watch: Option<Watch>,
    waiting: BytesMut,
    /// A piece is being made. Where that is so at the end, making it has panicked.
    is_at_work: bool,
    _receipt: Option<Receipt>,
}

impl Streamed {
    fn take(&mut self, delta: ChatDelta) {
        if let Some(watch) = &mut self.watch {
            watch.piece(&delta);
        }
        let bytes = self.writer.push(delta);
        self.waiting.extend_from_slice(&bytes);
    }

    /// The gateway stops before the end of the stream.
    fn stop(&mut self) {
        if let Some(watch) = &self.watch {
            let error = watch.stopping();
            self.end(Some(&error));
        }
    }

    /// The stream has ended, well or not.
    fn end(&mut self, error: Option<&Error>) {
        self.deltas = None;
        let last = match error {
            None => self.writer.finish(),
            Some(error) => self.writer.fail(error),
        };
        self.waiting.extend_from_slice(&last);
        if let Some(watch) = self.watch.take() {
            watch.streamed(error);
        }
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        this.is_at_work = true;
        let piece = this.poll_piece(cx);
        this.is_at_work = false;
        piece
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if self.is_at_work
            && let Some(watch) = self.watch.take()
        {
            watch.broke();
        }
    }
}

impl Streamed {
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.waiting.len() < FULL {
            if self.deltas.is_some() && self.watch.as_ref().is_some_and(Watch::must_end) {
                self.stop();
            }
            let Some(deltas) = &mut self.deltas else {
                break;
            };
            let next = match deltas.as_mut().poll_next(cx) {
                Poll::Pending if self.waiting.is_empty() => {
                    // it is waited for where nothing else is
                    ready!(self.ending.as_mut().poll(cx));
                    continue;
                }
                Poll::Pending => break,
                Poll::Ready(next) => next,
            };
            match next {
                Some(Ok(delta)) => self.take(delta),
                Some(Err(error)) => self.end(Some(&error)),
                None => self.end(None),
            }
        }
        let ready = self.waiting.split().freeze();
        Poll::Ready((!ready.is_empty()).then(|| Ok(Frame::data(ready))))
    }
}
