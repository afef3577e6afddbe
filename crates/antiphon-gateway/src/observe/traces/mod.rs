//! Traces: a span for each call, with the GenAI semantic conventions, sent over OTLP to a collector.
//!
//! ```text
//! began ──> span opened (child of the caller's, sampled as its flag says) ──> its traceparent goes on to the provider
//! ended ──> attributes, end ──> batch (a thread of its own) ──> Carrier (our transport) ──> collector
//! ```
//!
//! Off unless the environment names a collector, and then at no cost. No prompt and no answer is ever in a span.
//! Spans beyond the batch's queue are dropped (`OTEL_BSP_MAX_QUEUE_SIZE`, 2048 unless set): a busy gateway samples.

mod attributes;
mod carrier;
mod parent;
mod settings;
mod span;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use antiphon::{
    Error, ErrorKind,
    env::Lookup,
    transport::{HttpTransport, ProxyConfig, TransportConfig},
};
use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanKind, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};

use self::{carrier::Carrier, settings::Settings};
use super::{CallBegan, CallEnded, Observer};

pub use span::CallSpan;

/// What spans are sent under, where the environment does not say.
const SERVICE: &str = "antiphon";
/// Time for the last spans to reach the collector.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// Tells a collector of every call.
#[derive(Debug)]
pub struct Traces {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    server: SocketAddr,
    failed_exports: Arc<AtomicU64>,
}

impl Traces {
    /// Traces as the standard environment variables (`OTEL_…`) ask for; `None` where they name no collector, or turn
    /// tracing off. `server` is where the gateway listens. To be called within a Tokio runtime, which carries the spans.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`] for a variable that cannot be followed.
    pub fn from_env(env: Lookup<'_>, server: SocketAddr) -> Result<Option<Self>, Error> {
        let Some(settings) = Settings::read(env)? else {
            return Ok(None);
        };
        let proxy = ProxyConfig::from_lookup(env)?;
        let transport = HttpTransport::new(TransportConfig::default().with_proxy(proxy));
        let carrier = Carrier::new(transport, settings.timeout);
        let failed_exports = carrier.failures();
        let refuse = |error| {
            let message = format!("traces cannot be sent to {}: {error}", settings.endpoint);
            Error::new(ErrorKind::BadRequest, message)
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(carrier)
            .with_endpoint(&settings.endpoint)
            .with_timeout(settings.timeout)
            .build()
            .map_err(refuse)?;
        let mut resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        if !settings.names_service {
            resource = resource.with_service_name(SERVICE);
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(settings.sampler)
            .with_resource(resource.build())
            .build();
        Ok(Some(Self {
            tracer: provider.tracer(SERVICE),
            provider,
            server,
            failed_exports,
        }))
    }

    /// Sends what has not been sent. Spans that end afterwards are lost.
    pub async fn shutdown(&self) {
        let provider = self.provider.clone();
        // it blocks until the batch is gone, and the batch needs this runtime
        let flushed = tokio::task::spawn_blocking(move || {
            let _failed = provider.shutdown_with_timeout(LAST_FLUSH);
        });
        let _joined = flushed.await;
    }
}

impl Observer for Traces {
    fn span(&self, call: &CallBegan) -> Option<CallSpan> {
        let parent = parent::context(call.traceparent.as_deref());
        let builder = self.tracer.span_builder(attributes::name(&call.asked));
        let span = builder
            .with_kind(SpanKind::Server)
            .with_start_time(call.at)
            .start_with_context(&self.tracer, &parent);
        Some(CallSpan::new(span))
    }

    fn ended(&self, end: &CallEnded) {
        let Some(mut span) = end.call.span.as_ref().and_then(CallSpan::take) else {
            return;
        };
        if span.is_recording() {
            span.set_attributes(attributes::of(end, self.server));
            span.set_status(attributes::status(end));
        }
        span.end_with_timestamp(end.call.at + end.took);
    }

    fn dropped(&self) -> Option<(&'static str, u64)> {
        Some(("trace_exports", self.failed_exports.load(Relaxed)))
    }
}
