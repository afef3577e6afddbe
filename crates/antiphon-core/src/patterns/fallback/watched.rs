//! [`Watched`]: a stream that another model goes on with where it breaks.

use std::collections::VecDeque;

use futures_util::{StreamExt, stream};

use super::{
    asks::Asks,
    bill::Bill,
    comparison::{Comparison, Differs},
    moves_on,
    parts::Parts,
};
use crate::{
    Body, ChatDelta, ChatResponse, Error, ErrorKind,
    chat::{DeltaStream, Receipt},
};

/// The response, with its stream watched. The receipt of its call goes with the stream: the call that goes on may need the
/// very permit that it holds.
pub(super) fn watched(response: ChatResponse, asks: Asks) -> ChatResponse {
    let ChatResponse { mut head, body } = response;
    let body = match body {
        Body::Stream(deltas) => {
            let watched = Watched {
                bill: Bill::new(&head),
                receipt: head.receipt.take(),
                deltas: Some(deltas),
                given: Parts::default(),
                asks,
                broken: None,
            };
            let deltas = stream::unfold(watched, |mut watched| async move {
                let next = watched.next().await?;
                Some((next, watched))
            });
            Body::Stream(Box::pin(deltas))
        }
        other => other,
    };
    ChatResponse { head, body }
}

struct Watched {
    /// `None` once nothing more comes.
    deltas: Option<DeltaStream>,
    receipt: Option<Receipt>,
    /// What was handed out.
    given: Parts,
    asks: Asks,
    bill: Bill,
    broken: Option<Box<Broken>>,
}

/// Why a stream is not read any further.
enum Break {
    Failed(Error),
    /// It tells another answer, and may have told all of it.
    Differs {
        is_whole: bool,
    },
}

/// What there is to know after a break.
struct Broken {
    /// The error that began it.
    first: Error,
    /// Why the answer was not gone on with, by model.
    causes: Vec<String>,
    /// Whose stream is being read.
    rescuer: String,
    /// `None` once all that was handed out has come again.
    comparison: Option<Comparison>,
    ready: VecDeque<ChatDelta>,
    /// The model's name, to be told with the next delta.
    model: Option<String>,
    /// The reader has seen nothing of the answer, so that thoughts may be told as well.
    tells_thoughts: bool,
}

impl Watched {
    async fn next(&mut self) -> Option<Result<ChatDelta, Error>> {
        loop {
            if let Some(delta) = self.broken.as_mut().and_then(|b| b.ready.pop_front()) {
                self.given.push(&delta);
                return Some(Ok(delta));
            }
            let break_off = match self.deltas.as_mut()?.next().await {
                Some(Ok(delta)) => {
                    self.bill.note(delta.usage, delta.spent);
                    let Some(broken) = &mut self.broken else {
                        self.given.push(&delta);
                        return Some(Ok(delta));
                    };
                    let is_whole = delta.finish_reason.is_some();
                    match broken.take(delta, &self.bill) {
                        Ok(()) => continue,
                        Err(Differs) => Break::Differs { is_whole },
                    }
                }
                // whatever comes after it, the answer is whole
                _ if self.given.is_finished() => return self.end().map(Ok),
                Some(Err(error)) => Break::Failed(error),
                None => {
                    let message = "the stream ended before its finish reason";
                    Break::Failed(Error::new(ErrorKind::BadResponse, message))
                }
            };
            // seldom, and large: no stream carries room for it
            if let Err(error) = Box::pin(self.go_on(break_off)).await {
                return Some(Err(error));
            }
        }
    }

    async fn go_on(&mut self, after: Break) -> Result<(), Error> {
        match after {
            Break::Differs { is_whole } => self.give_up(is_whole).await,
            Break::Failed(error) => {
                self.failed(&error)?;
                if !moves_on(&error) || self.given.has_lost_track() {
                    return Err(self.lost());
                }
            }
        }
        self.ask().await
    }

    /// The last piece of an answer that was gone on with tells what it took in all.
    fn end(&mut self) -> Option<ChatDelta> {
        self.close();
        self.broken.as_ref()?;
        Some(ChatDelta {
            usage: self.bill.usage(),
            spent: Some(self.bill.spent()),
            ..ChatDelta::default()
        })
    }

    fn close(&mut self) {
        self.deltas = None;
        self.receipt = None;
    }

    /// The present stream says something else. One that has come to its end is read out, for its price.
    async fn give_up(&mut self, is_whole: bool) {
        if let Some(deltas) = self.deltas.as_mut().filter(|_| is_whole) {
            while let Some(Ok(delta)) = deltas.next().await {
                self.bill.note(delta.usage, delta.spent);
            }
        }
        self.close();
        self.bill.given_up(is_whole);
        if let Some(broken) = &mut self.broken {
            let why = match is_whole {
                true => "its answer is another one",
                false => "it answers something else",
            };
            broken.causes.push(format!("{}: {why}", broken.rescuer));
        }
    }

    /// The present stream broke. What nobody else could do better ends the first as it is.
    fn failed(&mut self, error: &Error) -> Result<(), Error> {
        self.close();
        self.bill.broke(error);
        match &mut self.broken {
            Some(broken) => broken.failed(error),
            None if !moves_on(error) || self.given.has_lost_track() => return Err(error.clone()),
            none => *none = Some(Box::new(Broken::new(error.clone()))),
        }
        Ok(())
    }

    /// Asks until somebody answers.
    async fn ask(&mut self) -> Result<(), Error> {
        while let Some(ask) = self.asks.next(&self.given) {
            let tells_thoughts = !self.given.has_begun();
            let is_plain = ask.is_plain;
            let Some(broken) = &mut self.broken else {
                break;
            };
            ask.model.name().clone_into(&mut broken.rescuer);
            match ask.begin().await {
                Ok((mut head, deltas)) => {
                    self.bill.begin(&head);
                    self.deltas = Some(deltas);
                    self.receipt = head.receipt.take();
                    let is_behind = !ask.comparison.is_caught_up();
                    broken.comparison = is_behind.then_some(ask.comparison);
                    broken.model = Some(head.model);
                    broken.tells_thoughts = tells_thoughts;
                    return Ok(());
                }
                Err(error) => {
                    self.bill.failed(&error);
                    broken.failed(&error);
                    if is_plain && !moves_on(&error) {
                        break;
                    }
                }
            }
        }
        Err(self.lost())
    }

    /// Nobody goes on with it.
    fn lost(&mut self) -> Error {
        let characters = self.given.characters();
        let Some(broken) = self.broken.take() else {
            return Error::new(ErrorKind::BadResponse, "the answer broke");
        };
        let Broken { first, causes, .. } = *broken;
        let message = format!(
            "the answer broke after {characters} characters ({first}), and no model continued it: {}",
            causes.join("; ")
        );
        let mut error = Error::new(first.kind(), message)
            .with_retry_after(first.retry_after())
            .with_request_id(first.request_id().map(str::to_owned));
        if let Some(status) = first.status() {
            error = error.with_status(status);
        }
        if let Some(body) = first.body() {
            error = error.with_body(body.clone());
        }
        std::mem::take(&mut self.bill).on(error.with_source(first))
    }
}

impl Broken {
    fn new(first: Error) -> Self {
        Self {
            first,
            causes: Vec::new(),
            rescuer: String::new(),
            comparison: None,
            ready: VecDeque::new(),
            model: None,
            tells_thoughts: false,
        }
    }

    fn failed(&mut self, error: &Error) {
        let cause = format!("{}: {}: {error}", self.rescuer, error.kind());
        self.causes.push(cause);
    }

    /// Takes a piece of the new answer, and makes ready what goes beyond the old one. It stands in nobody's stream, so it
    /// has no form of a wire.
    fn take(&mut self, delta: ChatDelta, bill: &Bill) -> Result<(), Differs> {
        if delta.model.is_some() {
            self.model = delta.model;
        }
        let piece = ChatDelta {
            text: delta.text,
            reasoning: delta.reasoning.filter(|_| self.tells_thoughts),
            refusal: delta.refusal,
            tool_calls: delta.tool_calls,
            finish_reason: delta.finish_reason,
            usage: delta.usage,
            ..ChatDelta::default()
        };
        let Some(mut comparison) = self.comparison.take() else {
            self.make_ready(piece, bill);
            return Ok(());
        };
        comparison.take(piece)?;
        if !comparison.is_caught_up() {
            self.comparison = Some(comparison);
            return Ok(());
        }
        for piece in comparison.into_beyond() {
            self.make_ready(piece, bill);
        }
        Ok(())
    }

    fn make_ready(&mut self, mut piece: ChatDelta, bill: &Bill) {
        if piece == ChatDelta::default() {
            return;
        }
        piece.usage = piece.usage.and_then(|_| bill.usage());
        piece.model = self.model.take();
        self.ready.push_back(piece);
    }
}
