//! [`Bill`]: what an answer has used that several calls made in turn.

use crate::{Error, Head, Spent, Usage};

/// The sum over all calls for one streamed answer.
#[derive(Debug, Default)]
pub(super) struct Bill {
    /// What calls before the present one have used, beside what the head of the answer has told.
    before: Spent,
    /// Tokens that those calls told before they ended.
    told_before: Option<Usage>,
    attempts: u32,
    /// What the head of the answer has told.
    in_head: Spent,
    now: Call,
}

/// The call whose answer is being read.
#[derive(Debug, Default)]
struct Call {
    /// Used before its answer, as its head tells.
    earlier: Spent,
    attempts: u32,
    usage: Option<Usage>,
    spent: Option<Spent>,
}

impl Bill {
    /// For an answer with this head, which its reader has.
    pub(super) fn new(head: &Head) -> Self {
        Self {
            in_head: head.earlier,
            now: Call {
                earlier: head.earlier,
                attempts: head.attempts,
                ..Call::default()
            },
            ..Self::default()
        }
    }

    /// Another call answers.
    pub(super) fn begin(&mut self, head: &Head) {
        self.before += head.earlier;
        self.now = Call {
            earlier: head.earlier,
            attempts: head.attempts,
            usage: None,
            // an answer at hand was paid for by another call
            spent: head.cached.then(Spent::default),
        };
    }

    pub(super) fn note(&mut self, usage: Option<Usage>, spent: Option<Spent>) {
        self.now.usage = usage.or(self.now.usage);
        self.now.spent = spent.or(self.now.spent);
    }

    /// The answer of the present call broke.
    pub(super) fn broke(&mut self, error: &Error) {
        let call = self.over();
        self.before += error.spent().beyond(call.earlier);
        self.attempts += error.attempts().max(call.attempts);
    }

    /// The present call is given up. Of a whole answer it is known what it used.
    pub(super) fn given_up(&mut self, is_whole: bool) {
        let call = self.over();
        self.before += match is_whole {
            true => call.spent.unwrap_or_else(|| Spent::answer(call.usage)),
            false => Spent::lost(),
        };
        self.attempts += call.attempts;
    }

    /// A call failed before its answer began.
    pub(super) fn failed(&mut self, error: &Error) {
        self.before += error.spent();
        self.attempts += error.attempts();
    }

    fn over(&mut self) -> Call {
        let call = std::mem::take(&mut self.now);
        self.told_before = Usage::sum([self.told_before, call.usage]);
        call
    }

    /// Tokens that all calls have told so far.
    pub(super) fn usage(&self) -> Option<Usage> {
        Usage::sum([self.told_before, self.now.usage])
    }

    /// What all calls have used, beside what the head has told.
    pub(super) fn spent(&self) -> Spent {
        let answer = self.now.spent;
        self.before + answer.unwrap_or_else(|| Spent::answer(self.now.usage))
    }

    /// The error that stands for all calls, with what they have used.
    pub(super) fn on(self, error: Error) -> Error {
        error
            .with_attempts(self.attempts)
            .with_spent(self.in_head + self.before)
    }
}
