//! [`Carrier`]: brings batches of spans to the collector with the one HTTP client of the house.
//!
//! The batch lives on a thread of its own, which is none of Tokio's: a client that expects a reactor around it would
//! panic there. So each request is a task of the runtime, and the thread waits for it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use antiphon::transport::{HttpTransport, Target, Transport, WireRequest};
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

#[derive(Debug)]
pub(super) struct Carrier {
    transport: Arc<HttpTransport>,
    timeout: Duration,
    runtime: Handle,
    failures: Arc<AtomicU64>,
}

impl Carrier {
    /// To be called within a runtime.
    pub(super) fn new(transport: HttpTransport, timeout: Duration) -> Self {
        Self {
            transport: Arc::new(transport),
            timeout,
            runtime: Handle::current(),
            failures: Arc::default(),
        }
    }

    /// Where requests are counted that did not succeed.
    pub(super) fn failures(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.failures)
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Carrier {
    fn send_bytes<'this, 'sent>(&'this self, request: Request<Bytes>) -> Sent<'sent>
    where
        'this: 'sent,
        Self: 'sent,
    {
        let sent = exchange(Arc::clone(&self.transport), request);
        let timeout = self.timeout;
        // timers too are made where there is a runtime
        let sent = self
            .runtime
            .spawn(async move { tokio::time::timeout(timeout, sent).await });
        Box::pin(async move {
            let response = match sent.await {
                Ok(Ok(response)) => response,
                Ok(Err(elapsed)) => Err(elapsed.into()),
                Err(ended) => Err(ended.into()),
            };
            if !matches!(&response, Ok(response) if response.status().is_success()) {
                self.failures.fetch_add(1, Relaxed);
            }
            response
        })
    }
}

async fn exchange(
    transport: Arc<HttpTransport>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let (parts, body) = request.into_parts();
    let target = Target::parse(&parts.uri.to_string())?;
    let request = WireRequest::post(target, parts.headers, body);
    let answer = transport.send(request).await.map_err(Box::new)?;
    let (status, headers) = (answer.status, answer.headers);
    let body = answer.body.collect().await.map_err(Box::new)?;
    let mut response = Response::builder().status(status).body(body)?;
    *response.headers_mut() = headers;
    Ok(response)
}
