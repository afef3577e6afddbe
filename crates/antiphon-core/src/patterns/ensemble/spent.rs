//! What the calls behind an answer have cost.

use std::time::Duration;

use crate::{Answer, Body, ChatResponse, Error, Head, Reply, Usage, chat::Gathered};

/// The sum over several calls.
#[derive(Debug, Default)]
pub(super) struct Spent {
    /// What was paid.
    pub(super) usage: Option<Usage>,
    /// What answers at hand have saved.
    saved: Option<Usage>,
    pub(super) attempts: u32,
    /// Of the slowest: the calls run side by side. Answers at hand take no time.
    latency: Duration,
    dropped: Vec<String>,
    paid: bool,
}

impl Spent {
    pub(super) fn on(&mut self, reply: &Reply) {
        self.usage = Usage::sum([self.usage, reply.usage()]);
        self.attempts += reply.head.attempts;
        self.drop_named(reply.head.dropped.clone());
        if reply.head.cached {
            self.saved = Usage::sum([self.saved, reply.answer.usage]);
        } else {
            self.latency = self.latency.max(reply.answer.latency);
            self.paid = true;
        }
    }

    pub(super) fn on_failure(&mut self, error: &Error) {
        self.usage = Usage::sum([self.usage, error.usage()]);
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
        self.usage = Usage::sum([self.usage, other.usage]);
        self.saved = Usage::sum([self.saved, other.saved]);
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
        if self.paid { self.usage } else { self.saved }
    }

    /// An error in spite of all this.
    pub(super) fn charge(self, error: Error) -> Error {
        error.with_attempts(self.attempts).with_usage(self.usage)
    }

    /// The response of a model of this name whose answer is made of these calls.
    pub(super) fn respond(self, model: &str, mut answer: Answer, made: Gathered) -> ChatResponse {
        answer.usage = self.told();
        answer.latency = self.latency;
        // a call whose answers are all at hand may still have paid for asks of an earlier run
        let earlier = self.usage.filter(|_| !self.paid);
        let head = Head {
            earlier_usage: earlier.unwrap_or_default(),
            model: model.to_owned(),
            status: 200,
            dropped: self.dropped,
            attempts: self.attempts,
            cached: !self.paid,
            gathered: Some(Box::new(made)),
            ..Head::default()
        };
        let body = Body::Ready(answer);
        ChatResponse { head, body }
    }
}
