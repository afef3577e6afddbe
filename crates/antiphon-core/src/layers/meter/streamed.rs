//! A streamed answer that carries its measurement.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::Stream;

use super::Measured;
use crate::{ChatDelta, Error, ErrorKind, Usage, chat::DeltaStream};

/// It counts when the stream ends, or when it is dropped: whole after its finish reason, lost before.
pub(super) struct MeasuredStream {
    deltas: DeltaStream,
    measured: Option<Measured>,
    complete: bool,
    usage: Option<Usage>,
    model: Option<String>,
}

impl MeasuredStream {
    pub(super) fn new(deltas: DeltaStream, measured: Measured) -> Self {
        Self {
            deltas,
            measured: Some(measured),
            complete: false,
            usage: None,
            model: None,
        }
    }

    fn note(&mut self, delta: &ChatDelta) {
        self.complete |= delta.finish_reason.is_some();
        self.usage = delta.usage.or(self.usage);
        if delta.model.is_some() {
            self.model.clone_from(&delta.model);
        }
    }

    /// The stream has ended: its price is one more piece, where there is one.
    fn close(&mut self) -> Option<ChatDelta> {
        let measured = self.measured.take()?;
        if !self.complete {
            let message = "the stream ended before its finish reason";
            // whoever reads it finds out alone
            let _counted = measured.failed(Error::new(ErrorKind::BadResponse, message));
            return None;
        }
        let has_rates = measured.rates.is_some();
        let (_, spent) = measured.succeeded(self.usage, self.model.as_deref());
        has_rates.then(|| ChatDelta {
            spent: Some(spent),
            ..ChatDelta::default()
        })
    }
}

impl Stream for MeasuredStream {
    type Item = Result<ChatDelta, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.measured.is_none() {
            return Poll::Ready(None);
        }
        let next = ready!(this.deltas.as_mut().poll_next(cx));
        Poll::Ready(match next {
            Some(Ok(delta)) => {
                this.note(&delta);
                Some(Ok(delta))
            }
            Some(Err(error)) => this
                .measured
                .take()
                .map(|measured| Err(measured.failed(error))),
            None => this.close().map(Ok),
        })
    }
}

impl Drop for MeasuredStream {
    fn drop(&mut self) {
        if let Some(measured) = self.measured.take_if(|_| self.complete) {
            measured.succeeded(self.usage, self.model.as_deref());
        }
    }
}
