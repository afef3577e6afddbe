//! Streams to clients, which say how they ended.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::Stream;
use rmcp::{
    model::RequestId,
    transport::streamable_http_server::session::{ServerSseMessage, SessionId},
};

use super::sessions::Sessions;

/// A stream that a client reads; dropping it means that the client does not any more.
pub(super) struct Open {
    sessions: Sessions,
    session: SessionId,
    /// The call that it was made for.
    request: Option<RequestId>,
    /// What the library calls the stream, once that is known.
    name: Option<String>,
    has_ended: bool,
}

impl Open {
    pub(super) fn new(
        sessions: Sessions,
        session: SessionId,
        request: Option<RequestId>,
        name: Option<String>,
    ) -> Self {
        Self {
            sessions,
            session,
            request,
            name,
            has_ended: false,
        }
    }

    /// Learns the stream's name from its events: they are `index/name`.
    fn note(&mut self, event: &ServerSseMessage) {
        let name = event.event_id.as_deref().and_then(|id| id.split_once('/'));
        if let (None, Some(request), Some((_, name))) = (&self.name, &self.request, name) {
            self.sessions
                .named(&self.session, request.clone(), name.to_owned());
            self.name = Some(name.to_owned());
        }
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.sessions.ended(&self.session, self.name.as_deref());
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.has_ended {
            self.sessions
                .broke(&self.session, self.request.take(), self.name.take());
        }
    }
}

/// A stream, watched.
pub(super) struct Watched<S> {
    stream: Pin<Box<S>>,
    open: Open,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, open: Open) -> Self {
        Self {
            stream: Box::pin(stream),
            open,
        }
    }
}

impl<S: Stream<Item = ServerSseMessage>> Stream for Watched<S> {
    type Item = ServerSseMessage;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ServerSseMessage>> {
        let this = self.get_mut();
        let event = ready!(this.stream.as_mut().poll_next(cx));
        match &event {
            Some(event) => this.open.note(event),
            None => this.open.end(),
        }
        Poll::Ready(event)
    }
}
