//! [`CallSpan`]: the span of a call under way.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry::trace::{Span as _, SpanContext};
use opentelemetry_sdk::trace::Span;

/// The span of a call, open until the call has ended. Clones are the same one.
#[derive(Clone)]
pub struct CallSpan(Arc<Open>);

struct Open {
    context: SpanContext,
    span: Mutex<Option<Span>>,
}

impl CallSpan {
    pub(super) fn new(span: Span) -> Self {
        Self(Arc::new(Open {
            context: span.span_context().clone(),
            span: Mutex::new(Some(span)),
        }))
    }

    /// The `traceparent` of calls that are made for this one (W3C Trace Context).
    pub fn traceparent(&self) -> String {
        let context = &self.0.context;
        let flags = context.trace_flags().to_u8();
        format!(
            "00-{}-{}-{flags:02x}",
            context.trace_id(),
            context.span_id()
        )
    }

    /// The trace that the call is part of, in hexadecimal.
    pub fn trace_id(&self) -> String {
        self.0.context.trace_id().to_string()
    }

    /// The span itself, once.
    pub(super) fn take(&self) -> Option<Span> {
        let mut span = self.0.span.lock().unwrap_or_else(PoisonError::into_inner);
        span.take()
    }
}

impl fmt::Debug for CallSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallSpan")
            .field(&self.traceparent())
            .finish()
    }
}
