//! [`Passage`]: what a call holds that is out, and the body that carries it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::Stream;

use super::{
    bearing::{Ending, Turn},
    config::timed_out,
    gate::Ticket,
    queued::Group,
};
use crate::{BoxFuture, ChatDelta, Clock, Error, ErrorKind, chat::DeltaStream};

/// A call in line. It leaves when this is dropped.
pub(super) struct InLine<'a> {
    group: &'a Arc<Group>,
    /// `None` once the verdict was heard.
    ticket: Option<Ticket>,
}

impl<'a> InLine<'a> {
    pub(super) fn new(group: &'a Arc<Group>, ticket: Ticket) -> Self {
        Self {
            group,
            ticket: Some(ticket),
        }
    }
}

impl Future for InLine<'_> {
    type Output = Result<Passage, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(ticket) = self.ticket else {
            return Poll::Pending;
        };
        let verdict = self.group.queue.gate.poll_turn(ticket, cx);
        verdict.map(|verdict| {
            self.ticket = None;
            Ok(Passage {
                turn: Some(verdict?),
                group: Arc::clone(self.group),
                stays: false,
            })
        })
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let queue = &self.group.queue;
            queue.gate.leave(ticket, Ending::Dropped);
            queue.keep_time();
        }
    }
}

/// A call that is out. Its place is free when it has ended, at the latest when this is dropped.
pub(super) struct Passage {
    group: Arc<Group>,
    /// `None` once it has ended.
    turn: Option<Turn>,
    /// It is not taken back any more.
    stays: bool,
}

impl Passage {
    /// From now on it ends as it ends.
    pub(super) fn stay(&mut self) {
        self.stays = true;
    }

    /// Waits until the call is taken back.
    pub(super) async fn taken_back(&self) {
        let Some(turn) = self.turn.filter(|_| !self.stays) else {
            return std::future::pending().await;
        };
        std::future::poll_fn(|cx| self.group.queue.gate.poll_taken_back(turn, cx)).await;
    }

    /// Whether the call is asked again although it failed like this.
    pub(super) fn is_excused(&self, error: &Error) -> bool {
        let Some(turn) = self.turn.filter(|_| !self.stays) else {
            return false;
        };
        let gate = &self.group.queue.gate;
        !error.stops_the_run() && gate.look(|books, _, _| books.excuses(turn, error.kind()))
    }

    /// Back into the line, after the call has been dropped; `Err` if the line was closed meanwhile.
    pub(super) fn wait_again(mut self) -> Result<Ticket, Error> {
        let queue = &self.group.queue;
        let ticket = self
            .turn
            .take()
            .and_then(|turn| queue.gate.wait_again(turn));
        queue.keep_time();
        ticket.unwrap_or_else(|| Err(Error::stopped("the call is not out")))
    }

    pub(super) fn answered(&mut self, asked: u64, said: &Said) {
        self.end(said.answered(asked), None);
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.end(Ending::Failed(error.kind()), Some(error));
    }

    fn end(&mut self, ending: Ending, error: Option<&Error>) {
        if let Some(turn) = self.turn.take() {
            let queue = &self.group.queue;
            let closes = error.and_then(|error| queue.config.on_failure.closes(error));
            queue.gate.end(turn, ending, closes);
            queue.keep_time();
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.end(Ending::Dropped, None);
    }
}

/// The text of an answer as it comes, by its digest.
#[derive(Default)]
pub(super) struct Said {
    hasher: blake3::Hasher,
    bytes: usize,
}

impl From<&str> for Said {
    fn from(text: &str) -> Self {
        let mut said = Self::default();
        said.text(text);
        said
    }
}

impl Said {
    fn text(&mut self, text: &str) {
        self.hasher.update(text.as_bytes());
        self.bytes += text.len();
    }

    fn answered(&self, asked: u64) -> Ending {
        Ending::Answered {
            asked,
            answer: digest(self.hasher.finalize().as_bytes()),
            bytes: self.bytes,
        }
    }
}

/// The first eight bytes of a digest.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let first = bytes.first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(first)
}

/// When a call has been out for too long.
pub(super) struct Until {
    limit: Duration,
    alarm: BoxFuture<'static, ()>,
}

impl Until {
    pub(super) fn new(limit: Duration, clock: &Arc<dyn Clock>) -> Self {
        let alarm = clock.sleep_until(clock.now() + limit);
        Self { limit, alarm }
    }
}

impl Future for Until {
    type Output = Error;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Error> {
        let alarm = self.alarm.as_mut().poll(cx);
        alarm.map(|()| timed_out(self.limit))
    }
}

/// A stream that carries its passage.
pub(super) struct Riding {
    /// `None` once it has ended.
    deltas: Option<DeltaStream>,
    passage: Option<Passage>,
    asked: u64,
    said: Said,
    /// A finish reason has come: whoever stops reading now has a whole answer.
    is_complete: bool,
    until: Option<Until>,
}

impl Riding {
    pub(super) fn new(
        deltas: DeltaStream,
        passage: Passage,
        asked: u64,
        until: Option<Until>,
    ) -> Self {
        Self {
            deltas: Some(deltas),
            passage: Some(passage),
            asked,
            said: Said::default(),
            is_complete: false,
            until,
        }
    }

    /// Ends what comes from below, then the passage: nobody else is let out before.
    fn end(&mut self, error: Option<&Error>) {
        self.deltas = None;
        let Some(mut passage) = self.passage.take() else {
            return;
        };
        match error {
            Some(error) => passage.failed(error),
            None if self.is_complete => passage.answered(self.asked, &self.said),
            None => {
                let message = "the stream ended before its finish reason";
                passage.failed(&Error::new(ErrorKind::BadResponse, message));
            }
        }
    }
}

impl Stream for Riding {
    type Item = Result<ChatDelta, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(deltas) = &mut this.deltas else {
            return Poll::Ready(None);
        };
        // first: a stream that always has something, or a reader that takes its time, would hold the place for ever
        if let Some(until) = &mut this.until
            && let Poll::Ready(error) = Pin::new(until).poll(cx)
        {
            let failed = (!this.is_complete).then_some(error);
            this.end(failed.as_ref());
            return Poll::Ready(failed.map(Err));
        }
        let next = ready!(deltas.as_mut().poll_next(cx));
        match &next {
            Some(Ok(delta)) => {
                this.said.text(&delta.text);
                this.is_complete |= delta.finish_reason.is_some();
            }
            Some(Err(error)) => this.end(Some(error)),
            None => this.end(None),
        }
        Poll::Ready(next)
    }
}

impl Drop for Riding {
    fn drop(&mut self) {
        self.deltas = None;
        // dropped early, the passage ends itself
        if self.is_complete {
            self.end(None);
        }
    }
}
