//! [`Timeout`]: ends an attempt that is too slow. It is dropped, and with it its connection; nothing runs on unseen.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;

use crate::{
    Body, BoxFuture, ChatDelta, ChatRequest, ChatResponse, Clock, Error, Limits, Makeup, Model,
    Moment, Phase, SharedModel,
    chat::{Delivery, DeltaStream},
};

/// How long an attempt may take, phase by phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutConfig {
    /// Until the connection stands, TLS included. The transport keeps this one: only it sees the moment.
    pub connect: Duration,
    /// Until the head of an answer has come. `None`: `total` for whole answers, which often come with their head, and
    /// 120 s for streamed ones.
    pub first_byte: Option<Duration>,
    /// Between two pieces of a streamed answer.
    pub idle: Duration,
    /// The whole attempt, to the end of its body.
    pub total: Duration,
}

const STREAM_FIRST_BYTE: Duration = Duration::from_secs(120);

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: None,
            idle: Duration::from_secs(120),
            total: Duration::from_secs(600),
        }
    }
}

impl TimeoutConfig {
    fn first_byte(&self, delivery: Delivery) -> Duration {
        let usual = match delivery {
            Delivery::Whole => self.total,
            Delivery::Streamed => STREAM_FIRST_BYTE,
        };
        self.first_byte.unwrap_or(usual)
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

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn makeup(&self) -> Makeup {
        self.inner.makeup()
    }

    fn continues(&self, request: &ChatRequest) -> bool {
        self.inner.continues(request)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let begun = self.clock.now();
            let total = End::new(begun, self.config.total, Phase::Total);
            let first_byte = self.config.first_byte(request.delivery);
            let head = total.sooner(End::new(begun, first_byte, Phase::FirstByte));
            let ChatResponse { head, body } =
                head.before(&self.clock, self.inner.call(request)).await??;
            let body = limited(body, total, Some(self.config.idle), &self.clock);
            Ok(ChatResponse { head, body })
        })
    }
}

/// When a phase ends, and what it is called then.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    at: Moment,
    limit: Duration,
    phase: Phase,
}

impl End {
    pub(super) fn new(begun: Moment, limit: Duration, phase: Phase) -> Self {
        Self {
            at: begun + limit,
            limit,
            phase,
        }
    }

    fn sooner(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }

    fn error(self) -> Error {
        Error::timeout(self.phase, self.limit)
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

/// A body that ends in an error at `total`, or (streamed) when it is silent for `idle`.
pub(super) fn limited(
    body: Body,
    total: End,
    idle: Option<Duration>,
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
                idle,
                heard: clock.now(),
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
    idle: Option<Duration>,
    heard: Moment,
    alarm: Option<BoxFuture<'static, ()>>,
    clock: Arc<dyn Clock>,
}

impl LimitedStream {
    fn end(&self) -> End {
        let idle = self
            .idle
            .map(|idle| End::new(self.heard, idle, Phase::Idle));
        idle.map_or(self.total, |idle| self.total.sooner(idle))
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
