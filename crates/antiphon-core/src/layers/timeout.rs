//! [`Timeout`]: ends an attempt that is too slow. It is dropped, and with it its connection; nothing runs on unseen.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;

use crate::{
    Body, BoxFuture, ChatDelta, ChatRequest, ChatResponse, Clock, Error, Model, Moment, Phase,
    SharedModel,
    chat::{Delivery, DeltaStream},
};

/// How long an attempt may take, phase by phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutConfig {
    /// Until the connection stands, TLS included. The transport keeps this one: only it sees the moment.
    pub connect: Duration,
    /// Until the head of a streamed answer has come. A whole answer mostly comes with its head, so only `total` holds
    /// for it.
    pub first_byte: Duration,
    /// From the head of a streamed answer to its first event, whatever that carries. `None`: `idle`.
    pub first_token: Option<Duration>,
    /// Between two pieces of a streamed answer.
    pub idle: Duration,
    /// The whole attempt, to the end of its body.
    pub total: Duration,
    /// The same of a streamed answer. `None`: `total`.
    pub stream_total: Option<Duration>,
    /// Where a call has a deadline, attempts that bring nothing take at most half of the time that is left of it, so that
    /// another model has the other half.
    pub leaves_room: bool,
}

/// Longer than any process lives, and short enough to be added to the time.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl TimeoutConfig {
    /// As long as it takes, for models that keep limits of their own.
    pub fn unlimited() -> Self {
        Self {
            connect: FOR_EVER,
            first_byte: FOR_EVER,
            first_token: None,
            idle: FOR_EVER,
            total: FOR_EVER,
            stream_total: None,
            leaves_room: false,
        }
    }
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            first_token: None,
            idle: Duration::from_secs(120),
            total: Duration::from_secs(600),
            stream_total: None,
            leaves_room: false,
        }
    }
}

impl TimeoutConfig {
    /// The longest that any attempt may take.
    pub fn longest(&self) -> Duration {
        self.total.max(self.stream_total.unwrap_or_default())
    }

    /// The limits of an attempt that begins when so much is left of its call's deadline.
    fn with_left(self, left: Option<Duration>) -> Self {
        let Some(left) = left.filter(|_| self.leaves_room) else {
            return self;
        };
        let most = left / 2;
        Self {
            first_byte: self.first_byte.min(most),
            first_token: self.first_token.map(|limit| limit.min(most)),
            total: self.total.min(most),
            // a stream that flows may use all of it
            stream_total: self.stream_total.or(Some(self.total)),
            ..self
        }
    }

    fn total(&self, delivery: Delivery) -> Duration {
        match delivery {
            Delivery::Whole => self.total,
            Delivery::Streamed => self.stream_total.unwrap_or(self.total),
        }
    }
}

/// The layer.
#[derive(Debug)]
pub struct Timeout {
    inner: SharedModel,
    config: TimeoutConfig,
    clock: Arc<dyn Clock>,
}

impl Timeout {
    /// Time limits for each call of `inner`.
    pub fn new(inner: SharedModel, config: TimeoutConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            config,
            clock,
        }
    }
}

impl Model for Timeout {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let begun = self.clock.now();
            let left = request.ends.map(|ends| ends.since(begun));
            let (own, config) = (self.config, self.config.with_left(left));
            let usual = own.total(request.delivery);
            let total = config.total(request.delivery);
            let total = End::new(begun, total, Phase::Total).instead_of(usual);
            let head = match request.delivery {
                Delivery::Whole => total,
                Delivery::Streamed => {
                    let first_byte = End::new(begun, config.first_byte, Phase::FirstByte);
                    total.sooner(first_byte.instead_of(own.first_byte))
                }
            };
            let ChatResponse { head, body } =
                head.before(&self.clock, self.inner.call(request)).await??;
            let silence = Silence {
                first: config.first_token,
                usual_first: own.first_token,
                idle: config.idle,
            };
            let body = limited(body, total, Some(silence), &self.clock);
            Ok(ChatResponse { head, body })
        })
    }
}

/// How long a stream may say nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// Before its first piece, where that is another time.
    first: Option<Duration>,
    /// The same where the caller has no deadline.
    usual_first: Option<Duration>,
    idle: Duration,
}

impl Silence {
    fn end(self, heard: Moment, is_first: bool) -> End {
        match self.first.filter(|_| is_first) {
            Some(first) => End::new(heard, first, Phase::FirstToken)
                .instead_of(self.usual_first.unwrap_or(first)),
            None => End::new(heard, self.idle, Phase::Idle),
        }
    }
}

/// When a phase ends, and what it is called then.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    at: Moment,
    limit: Duration,
    phase: Phase,
    /// The caller's deadline has made it shorter than the model's own limit.
    is_callers: bool,
}

impl End {
    pub(super) fn new(begun: Moment, limit: Duration, phase: Phase) -> Self {
        Self {
            at: begun + limit,
            limit,
            phase,
            is_callers: false,
        }
    }

    /// The same, where the model's own limit is this.
    fn instead_of(self, usual: Duration) -> Self {
        let is_callers = self.limit < usual;
        Self { is_callers, ..self }
    }

    pub(super) fn at(self) -> Moment {
        self.at
    }

    fn sooner(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }

    fn error(self) -> Error {
        let error = Error::timeout(self.phase, self.limit);
        match self.is_callers {
            true => error.of_callers_limit(),
            false => error,
        }
    }

    /// The future's output, if it comes before the end.
    pub(super) async fn before<T>(
        self,
        clock: &Arc<dyn Clock>,
        future: impl Future<Output = T>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = clock.sleep_until(self.at) => Err(self.error()),
        }
    }
}

/// A body that ends in an error at `total`, or (streamed) when it is silent for too long.
pub(super) fn limited(
    body: Body,
    total: End,
    silence: Option<Silence>,
    clock: &Arc<dyn Clock>,
) -> Body {
    let clock = Arc::clone(clock);
    match body {
        Body::Ready(answer) => Body::Ready(answer),
        Body::Whole(answer) => {
            Body::Whole(Box::pin(async move { total.before(&clock, answer).await? }))
        }
        Body::Stream(deltas) => {
            let mut limited = LimitedStream {
                deltas: Some(deltas),
                total,
                silence,
                heard: clock.now(),
                is_first: true,
                alarm: None,
                clock,
            };
            limited.alarm = Some(limited.clock.sleep_until(limited.end().at));
            Body::Stream(Box::pin(limited))
        }
    }
}

struct LimitedStream {
    /// `None` once it was cut off.
    deltas: Option<DeltaStream>,
    total: End,
    silence: Option<Silence>,
    heard: Moment,
    /// Nothing has come so far.
    is_first: bool,
    alarm: Option<BoxFuture<'static, ()>>,
    clock: Arc<dyn Clock>,
}

impl LimitedStream {
    fn end(&self) -> End {
        match self.silence {
            Some(silence) => self.total.sooner(silence.end(self.heard, self.is_first)),
            None => self.total,
        }
    }
}

impl Stream for LimitedStream {
    type Item = Result<ChatDelta, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(deltas) = &mut this.deltas else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(next) = deltas.as_mut().poll_next(cx) {
            this.heard = this.clock.now();
            if std::mem::take(&mut this.is_first) {
                // the limit until here may have been the longer one
                this.alarm = Some(this.clock.sleep_until(this.end().at));
            }
            return Poll::Ready(next);
        }
        // the alarm is not set anew for each delta, but when it rings and turns out to be too early
        while let Some(alarm) = &mut this.alarm {
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let end = this.end();
            if this.clock.now() >= end.at {
                this.deltas = None;
                this.alarm = None;
                return Poll::Ready(Some(Err(end.error())));
            }
            this.alarm = Some(this.clock.sleep_until(end.at));
        }
        Poll::Pending
    }
}
