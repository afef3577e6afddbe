//! Bodies of answers that end their call, and their request, as they end.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::peer::Asking;
use crate::calls::Permit;

/// Lets the answer hold what was taken for its request. On a connection of HTTP/2 a caller may read one answer and leave
/// another: `patience` bounds for how long it may not ask for the next piece of this one.
pub(super) fn hold(
    response: Response<Body>,
    asking: Asking,
    permit: Option<Permit>,
    patience: Option<Duration>,
) -> Response<Body> {
    response.map(|body| match (permit, patience) {
        (Some(permit), Some(patience)) => Body::new(Watched::new(body, asking, permit, patience)),
        (permit, _) => Body::new(Held {
            body,
            _permit: permit,
            _asking: asking,
        }),
    })
}

/// A body whose caller is waited for by its connection.
struct Held {
    body: Body,
    _permit: Option<Permit>,
    _asking: Asking,
}

type Piece = Option<Result<Frame<Bytes>, axum::Error>>;

/// A panic cuts the answer, and nothing else.
fn poll(body: &mut Body, cx: &mut Context<'_>) -> Poll<Piece> {
    let body = Pin::new(body);
    let polled = catch_unwind(AssertUnwindSafe(|| http_body::Body::poll_frame(body, cx)));
    polled.unwrap_or_else(|_| {
        tracing::error!("an answer was cut: its stream panicked");
        Poll::Ready(Some(Err(axum::Error::new("the gateway failed"))))
    })
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        poll(&mut self.get_mut().body, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that is taken away from a caller who does not ask for it.
struct Watched {
    shared: Arc<Shared>,
    watch: JoinHandle<()>,
    _asking: Asking,
}

struct Shared {
    /// `None` once it was taken away.
    call: Mutex<Option<(Body, Permit)>>,
    polls: AtomicU64,
    /// It is the model that is waited for.
    is_pending: AtomicBool,
}

impl Watched {
    fn new(body: Body, asking: Asking, permit: Permit, patience: Duration) -> Self {
        let shared = Arc::new(Shared {
            call: Mutex::new(Some((body, permit))),
            polls: AtomicU64::new(0),
            is_pending: AtomicBool::new(false),
        });
        let watch = tokio::spawn(watch(Arc::clone(&shared), patience));
        Self {
            shared,
            watch,
            _asking: asking,
        }
    }
}

async fn watch(shared: Arc<Shared>, patience: Duration) {
    let mut seen = u64::MAX;
    loop {
        let polls = shared.polls.load(Relaxed);
        if polls == seen && !shared.is_pending.load(Relaxed) {
            // with it goes the call to the provider
            drop(shared.lock().take());
            return;
        }
        seen = polls;
        tokio::time::sleep(patience).await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<(Body, Permit)>> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        let shared = &self.shared;
        shared.polls.fetch_add(1, Relaxed);
        let Some((body, _)) = &mut *shared.lock() else {
            let late = axum::Error::new("the caller did not read its answer");
            return Poll::Ready(Some(Err(late)));
        };
        let polled = poll(body, cx);
        shared.is_pending.store(polled.is_pending(), Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        let call = self.shared.lock();
        call.as_ref().is_some_and(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let call = self.shared.lock();
        call.as_ref()
            .map_or_else(SizeHint::default, |(body, _)| body.size_hint())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.abort();
        drop(self.shared.lock().take());
    }
}
