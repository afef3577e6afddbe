//! [`Watch`]: follows one call from its arrival to its end.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Instant, SystemTime},
};

use antiphon::{
    ChatRequest, Error, ErrorKind, Reply, Spent,
    core::{
        chat::{ChatDelta, Delivery, Head},
        layers::admit::{SentSign, Share},
    },
};
use http::{Extensions, HeaderMap, StatusCode};

use super::{CallBegan, CallEnded, CallSpan, Content, Outcome};
use crate::{Gateway, calls::stopping};

/// Where a connection comes from: the server puts it into the extensions of each of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote(pub(crate) IpAddr);

/// Follows a call. Whatever becomes of it, the observers are told of its end exactly once: at the latest when this is
/// dropped, which means that the caller hung up, or that the call panicked.
pub(crate) struct Watch {
    gateway: Gateway,
    arrived: Instant,
    has_begun: bool,
    is_told: bool,
    /// Whether anything was sent for it.
    sent: SentSign,
    /// What its answer costs is not known yet.
    is_open: bool,
    content: Option<Content>,
    /// What it has of its caller's minute; settled at its end.
    share: Option<Share>,
    end: CallEnded,
}

impl Watch {
    /// A request has come.
    pub(crate) fn new(gateway: &Gateway, wire: &'static str, headers: &HeaderMap) -> Self {
        let traceparent = headers.get("traceparent");
        let traceparent = traceparent.and_then(|value| value.to_str().ok());
        Self {
            gateway: gateway.clone(),
            arrived: Instant::now(),
            has_begun: false,
            is_told: false,
            sent: SentSign::default(),
            is_open: true,
            content: None,
            share: None,
            end: CallEnded {
                call: CallBegan {
                    id: gateway.request_id().into(),
                    at: SystemTime::now(),
                    caller: None,
                    wire,
                    asked: Arc::default(),
                    is_streamed: false,
                    remote: None,
                    traceparent: traceparent.map(Arc::from),
                    span: None,
                },
                status: 200,
                outcome: Outcome::HungUp,
                model: None,
                took: Default::default(),
                first_piece: None,
                attempts: 0,
                spent: Spent::default(),
                is_cached: false,
                finish_reason: None,
                upstream_id: None,
                error: None,
                content: None,
            },
        }
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Whether the gateway waits for it no longer.
    pub(crate) fn must_end(&self) -> bool {
        self.gateway.calls().is_ending()
    }

    /// The connection that it came on.
    pub(crate) fn came_on(&mut self, extensions: &Extensions) {
        self.end.call.remote = extensions.get::<Remote>().map(|peer| peer.0);
    }

    pub(crate) fn id(&self) -> &str {
        &self.end.call.id
    }

    pub(crate) fn arrived(&self) -> SystemTime {
        self.end.call.at
    }

    /// Whose key it has.
    pub(crate) fn identified(&mut self, caller: Option<&Arc<str>>) {
        self.end.call.caller = caller.cloned();
    }

    /// This is what it asks.
    pub(crate) fn asks(&mut self, request: &ChatRequest) {
        let observers = self.gateway.observers();
        if observers.iter().any(|observer| observer.wants_content()) {
            self.content = Some(Content::of(request));
        }
    }

    /// The `traceparent` of what is asked for it; `None` where calls are not traced.
    pub(crate) fn traceparent(&self) -> Option<String> {
        self.end.call.span.as_ref().map(CallSpan::traceparent)
    }

    /// Goes with what is put to its model: what is sent may cost something, also when nobody waits for the answer.
    pub(crate) fn sign(&self) -> SentSign {
        self.sent.clone()
    }

    /// It has this share of its caller's minute.
    pub(crate) fn holds(&mut self, share: Share) {
        self.sent = share.sign();
        self.share = Some(share);
    }

    /// It names this model.
    pub(crate) fn asks_for(&mut self, model: &str) {
        if *self.end.call.asked != *model {
            self.end.call.asked = model.into();
        }
    }

    /// It was read, and goes to this model.
    pub(crate) fn begin(&mut self, asked: &str, delivery: Delivery) {
        self.asks_for(asked);
        self.end.call.is_streamed = delivery == Delivery::Streamed;
        self.tell_beginning();
    }

    fn tell_beginning(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let call = &self.end.call;
            let mut observers = self.gateway.observers().iter();
            self.end.call.span = observers.find_map(|observer| observer.span(call));
            for observer in self.gateway.observers() {
                observer.began(&self.end.call);
            }
        }
    }

    /// The head of an answer is here.
    pub(crate) fn head(&mut self, head: &Head) {
        self.is_open = !head.cached;
        self.end.model = Some(head.model.as_str().into());
        self.end.attempts = head.attempts;
        self.end.spent = head.earlier;
        self.end.is_cached = head.cached;
        self.end.upstream_id = head.request_id.as_deref().map(Arc::from);
    }

    /// The next piece of a stream.
    pub(crate) fn piece(&mut self, delta: &ChatDelta) {
        if self.end.first_piece.is_none() && delta.has_content() {
            self.first_piece();
        }
        if let Some(content) = &mut self.content {
            content.piece(delta);
        }
        if let Some(reason) = &delta.finish_reason {
            self.end.finish_reason = Some(reason.as_str().into());
        }
        if let Some(spent) = delta.spent {
            self.is_open = false;
            self.end.spent += spent;
        }
    }

    fn first_piece(&mut self) {
        let after = self.arrived.elapsed();
        self.end.first_piece = Some(after);
        for observer in self.gateway.observers() {
            observer.first_piece(&self.end.call, after);
        }
    }

    /// A whole answer, which may still be told in pieces.
    pub(crate) fn whole(&mut self, reply: &Reply) {
        self.head(&reply.head);
        self.is_open = false;
        self.end.spent = reply.spent();
        if let Some(content) = &mut self.content {
            content.whole(&reply.answer);
        }
        self.end.finish_reason = Some(reply.answer.finish_reason.as_str().into());
    }

    /// It was answered whole.
    pub(crate) fn answered(mut self, reply: &Reply, status: StatusCode) {
        self.whole(reply);
        self.first_piece();
        self.end.status = status.as_u16();
        self.tell_end(Outcome::Answered);
    }

    /// Its stream has ended.
    pub(crate) fn streamed(mut self, error: Option<&Error>) {
        match error {
            None => self.tell_end(Outcome::Answered),
            Some(error) => self.tell_failure(error),
        }
    }

    /// It failed before anything was told.
    pub(crate) fn failed(mut self, error: &Error, status: StatusCode) {
        self.end.status = status.as_u16();
        self.tell_failure(error);
    }

    /// Its stream was cut by a panic, which is nobody's hanging up.
    pub(crate) fn broke(mut self) {
        self.tell_panic();
    }

    fn tell_panic(&mut self) {
        self.end.error = Some("the gateway failed".into());
        self.tell_end(Outcome::Failed(ErrorKind::ServerError));
    }

    /// The error of a call that the gateway did not wait for.
    pub(crate) fn stopping(&self) -> Error {
        stopping()
            .with_attempts(self.end.attempts)
            .with_spent(self.end.spent + self.given_up())
    }

    /// What it may have cost since the last that is known, when it is given up now.
    fn given_up(&self) -> Spent {
        match self.is_open && self.sent.is_set() {
            true => Spent::lost(),
            false => Spent::default(),
        }
    }

    fn tell_failure(&mut self, error: &Error) {
        if let Some(share) = self.share.take() {
            share.failed(error);
        }
        self.end.attempts = self.end.attempts.max(error.attempts());
        // an error tells the whole call's, also what the head of the answer has told before it
        self.end.spent += error.spent().beyond(self.end.spent);
        self.end.error = Some(error.message().into());
        if let Some(id) = error.request_id() {
            self.end.upstream_id = Some(id.into());
        }
        self.tell_end(Outcome::Failed(error.kind()));
    }

    fn tell_end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        // one whose caller hung up before its end settles itself, unless the answer was complete
        let is_complete = self.end.finish_reason.is_some() || outcome == Outcome::Answered;
        if let Some(share) = self.share.take().filter(|_| is_complete) {
            share.answered(self.end.spent.usage());
        }
        self.tell_beginning();
        self.end.attempts = self.end.attempts.max(least_attempts(&self.end.spent));
        self.end.outcome = outcome;
        self.end.took = self.arrived.elapsed();
        self.end.content = self.content.take().map(Arc::new);
        for observer in self.gateway.observers() {
            observer.ended(&self.end);
        }
    }
}

/// Attempts that were answered or lost. The calls that went on with a broken stream are known by them alone: its head was
/// told before they were made.
fn least_attempts(spent: &Spent) -> u32 {
    u32::try_from(spent.answers() + spent.lost_attempts()).unwrap_or(u32::MAX)
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        if std::thread::panicking() {
            self.end.status = 500;
            self.tell_panic();
        } else if self.must_end() {
            let error = self.stopping();
            self.tell_failure(&error);
        } else {
            self.end.spent += self.given_up();
            // nginx's status for a client that closed its request
            self.end.status = 499;
            self.tell_end(Outcome::HungUp);
        }
    }
}
