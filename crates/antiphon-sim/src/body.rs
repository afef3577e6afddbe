//! The body of an answer on the wire, as a script of what the provider does.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use antiphon_core::{BoxFuture, Clock};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::ledger::Flight;

/// The share of the latency after which a stream begins.
pub(crate) const FIRST_BYTE: f64 = 0.25;
/// The pace of `drip`.
pub(crate) const BYTE_BY_BYTE: Duration = Duration::from_secs(10);
/// Time for bytes to leave before a connection breaks: what is buffered when it does is lost.
const LEAVING: Duration = Duration::from_millis(10);
const FLOOD: Bytes = Bytes::from_static(&[b' '; 1 << 16]);

/// One thing that a provider does while it answers.
#[derive(Debug)]
pub(crate) enum Step {
    /// Sends bytes.
    Data(Bytes),
    /// Lets time pass.
    Wait(Duration),
    /// Falls silent for ever.
    Hang,
    /// Breaks the connection, after what was sent has left.
    Break,
    /// Sends this many bytes of nothing.
    Flood(u64),
}

/// How many of so many events come before a stream breaks: at least one, and not the last three, which may hold the
/// finish reason, the usage and the closing event.
pub(crate) fn broken_off(events: usize, breaks_at: f64) -> usize {
    let most = events.saturating_sub(3).max(1);
    ((breaks_at * most as f64) as usize).clamp(1, most)
}

/// A body that plays its script.
pub(crate) struct Script {
    steps: VecDeque<Step>,
    length: Option<u64>,
    flight: Option<Flight>,
    waiting: Option<BoxFuture<'static, ()>>,
    clock: Arc<dyn Clock>,
}

impl Script {
    /// A body whose announced length is what it sends.
    pub(crate) fn whole(bytes: impl Into<Bytes>, clock: &Arc<dyn Clock>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len() as u64;
        Self::of([Step::Data(bytes)], clock).announcing(length)
    }

    /// A body of unknown length.
    pub(crate) fn of(steps: impl IntoIterator<Item = Step>, clock: &Arc<dyn Clock>) -> Self {
        let mut script = Self {
            steps: VecDeque::new(),
            length: None,
            flight: None,
            waiting: None,
            clock: clock.clone(),
        };
        for step in steps {
            match step {
                Step::Data(bytes) if bytes.is_empty() => {}
                Step::Break => script.steps.extend([Step::Wait(LEAVING), Step::Break]),
                step => script.steps.push_back(step),
            }
        }
        script
    }

    /// With a `content-length`, true or not.
    pub(crate) fn announcing(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// With the attempt that ends when the script does.
    pub(crate) fn closing(mut self, flight: Flight) -> Self {
        match self.steps.is_empty() {
            true => flight.finish(),
            false => self.flight = Some(flight),
        }
        self
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("steps", &self.steps.len())
            .finish_non_exhaustive()
    }
}

/// The provider broke its answer off.
#[derive(Debug)]
pub(crate) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a simulated fault broke the answer off")
    }
}

impl std::error::Error for BrokenOff {}

impl Body for Script {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                std::task::ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            let Some(step) = self.steps.pop_front() else {
                return Poll::Ready(None);
            };
            // before the last bytes go out: who has read them finds the books up to date
            let is_last = self.steps.is_empty() && !matches!(step, Step::Hang | Step::Flood(_));
            if let Some(flight) = self.flight.take_if(|_| is_last) {
                flight.finish();
            }
            match step {
                Step::Data(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Step::Wait(delay) => {
                    let clock = &self.clock;
                    self.waiting = Some(clock.sleep_until(clock.now() + delay));
                }
                Step::Hang => {
                    self.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
                Step::Break => return Poll::Ready(Some(Err(BrokenOff))),
                Step::Flood(left) => {
                    if let Some(left) = left.checked_sub(FLOOD.len() as u64) {
                        self.steps.push_front(Step::Flood(left));
                    }
                    return Poll::Ready(Some(Ok(Frame::data(FLOOD))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
