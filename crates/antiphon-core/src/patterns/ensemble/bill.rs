//! What the calls behind an answer have cost.

use std::time::Duration;

use crate::{
    Answer, Body, ChatResponse, Error, Head, Reply, Spent, Usage,
    chat::{COMPLETION_WIRE, Gathered},
};

/// The sum over several calls.
#[derive(Debug, Default)]
pub(super) struct Bill {
    /// What was spent.
    pub(super) spent: Spent,
    /// What answers at hand have saved.
    saved: Spent,
    pub(super) attempts: u32,
    /// Of the slowest: the calls run side by side. Answers at hand take no time.
    latency: Duration,
    dropped: Vec<String>,
    paid: bool,
}

impl Bill {
    pub(super) fn on(&mut self, reply: &Reply) {
        self.spent += reply.spent();
        self.attempts += reply.head.attempts;
        self.drop_named(reply.head.dropped.clone());
        if reply.head.cached {
            self.saved += reply.answer.spent;
        } else {
            self.latency = self.latency.max(reply.answer.latency);
            self.paid = true;
        }
    }

    pub(super) fn on_failure(&mut self, error: &Error) {
        self.spent += error.spent();
        self.attempts += error.attempts();
        self.paid = true;
    }

    /// With what was spent afterwards on the decision, whose parameters are not the user's: that some of them were left
    /// out is nothing to tell.
    pub(super) fn then(self, mut later: Self) -> Self {
        later.dropped.clear();
        let latency = self.latency + later.latency;
        Self {
            latency,
            ..self.beside(later)
        }
    }

    /// With what was spent at the same time.
    pub(super) fn beside(mut self, other: Self) -> Self {
        self.spent += other.spent;
        self.saved += other.saved;
        self.attempts += other.attempts;
        self.latency = self.latency.max(other.latency);
        self.drop_named(other.dropped);
        self.paid |= other.paid;
        self
    }

    fn drop_named(&mut self, names: Vec<String>) {
        for name in names {
            if !self.dropped.contains(&name) {
                self.dropped.push(name);
            }
        }
    }

    /// The usage that an answer made of these calls tells: what was paid, or what was saved where nothing was.
    pub(super) fn told(&self) -> Option<Usage> {
        self.shown().usage()
    }

    fn shown(&self) -> Spent {
        if self.paid { self.spent } else { self.saved }
    }

    /// An error in spite of all this.
    pub(super) fn charge(self, error: Error) -> Error {
        error.with_attempts(self.attempts).with_spent(self.spent)
    }

    /// The response of a model of this name whose answer is made of these calls.
    pub(super) fn respond(self, model: &str, mut answer: Answer, made: Gathered) -> ChatResponse {
        answer.spent = self.shown();
        answer.latency = self.latency;
        // a call whose answers are all at hand may still have paid for asks of an earlier run
        let earlier = match self.paid {
            true => Spent::default(),
            false => self.spent,
        };
        let head = Head {
            earlier,
            model: model.to_owned(),
            status: 200,
            dropped: self.dropped,
            attempts: self.attempts,
            cached: !self.paid,
            wire: Some(COMPLETION_WIRE.into()),
            gathered: Some(Box::new(made)),
            ..Head::default()
        };
        let body = Body::Ready(answer);
        ChatResponse { head, body }
    }
}
