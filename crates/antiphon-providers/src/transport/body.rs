//! [`WireBody`]: a response body as a bounded stream of bytes that may not fall silent.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use antiphon_core::{Error, ErrorKind, Phase};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use super::{http1::Http1Body, http2::Http2Body};

/// Room set aside for an answer that comes in several pieces, in bytes.
const FIRST_ROOM: usize = 64 << 10;

/// The body of a response.
///
/// It ends after its last byte, after the first error, when it grows beyond its limit
/// ([`BadResponse`](ErrorKind::BadResponse)) or when nothing comes for longer than the idle timeout
/// ([`Timeout`](ErrorKind::Timeout) in [`Phase::Idle`]). Dropping it gives up the rest and harms no other request.
pub struct WireBody {
    source: Source,
    limit: usize,
    received: usize,
    silence: Silence,
}

enum Source {
    Http1(Http1Body),
    Http2(Http2Body),
    Elsewhere(Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>),
    Ended,
}

impl WireBody {
    /// A body that is already here: replayed traffic, tests.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::from_stream(futures_util::stream::iter([Ok(bytes.into())]))
    }

    /// A body from any other stream: replayed traffic, tests. It has no limits but the stream's own.
    pub fn from_stream(chunks: impl Stream<Item = Result<Bytes, Error>> + Send + 'static) -> Self {
        Self::new(
            Source::Elsewhere(Box::pin(chunks)),
            usize::MAX,
            Duration::MAX,
        )
    }

    pub(super) fn http1(body: Http1Body, limit: usize, idle_timeout: Duration) -> Self {
        Self::new(Source::Http1(body), limit, idle_timeout)
    }

    pub(super) fn http2(body: Http2Body, limit: usize, idle_timeout: Duration) -> Self {
        Self::new(Source::Http2(body), limit, idle_timeout)
    }

    fn new(source: Source, limit: usize, idle_timeout: Duration) -> Self {
        Self {
            source,
            limit,
            received: 0,
            silence: Silence::new(idle_timeout),
        }
    }

    /// Waits for the end and gives all of it in one piece.
    ///
    /// # Errors
    /// Whatever ended it early.
    pub async fn collect(mut self) -> Result<Bytes, Error> {
        let Some(first) = self.next().await else {
            return Ok(Bytes::new());
        };
        let first = first?;
        // most answers come in one piece, which is then not copied
        let Some(second) = self.next().await else {
            return Ok(first);
        };
        let mut all = BytesMut::with_capacity(FIRST_ROOM.max(first.len() * 2));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second?);
        while let Some(chunk) = self.next().await {
            all.extend_from_slice(&chunk?);
        }
        Ok(all.freeze())
    }

    fn count(&mut self, chunk: &Bytes) -> Result<(), Error> {
        self.received = self.received.saturating_add(chunk.len());
        if self.received > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(())
    }
}

/// The error for a body over the limit, in bytes.
pub(super) fn too_large(limit: usize) -> Error {
    const MIB: usize = 1 << 20;
    let shown = match limit % MIB {
        0 => format!("{} MiB", limit / MIB),
        _ => format!("{limit} bytes"),
    };
    Error::new(
        ErrorKind::BadResponse,
        format!("the response body is larger than {shown}"),
    )
}

impl Stream for WireBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = self.get_mut();
        let chunk = match &mut body.source {
            Source::Http1(source) => source.poll_chunk(cx),
            Source::Http2(source) => source.poll_chunk(cx),
            Source::Elsewhere(source) => source.poll_next_unpin(cx),
            Source::Ended => return Poll::Ready(None),
        };
        let chunk = match chunk {
            Poll::Ready(chunk) => {
                body.silence.ended();
                chunk
            }
            Poll::Pending => Some(Err(ready!(body.silence.poll(cx)))),
        };
        let item = chunk.map(|chunk| chunk.and_then(|bytes| body.count(&bytes).map(|()| bytes)));
        if !matches!(item, Some(Ok(_))) {
            // closes the connection or resets the stream, unless it has already gone back
            body.source = Source::Ended;
        }
        Poll::Ready(item)
    }
}

impl fmt::Debug for WireBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireBody")
            .field("received", &self.received)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Measures how long nothing has come. Most chunks are there when asked for, so a timer exists only once one is not,
/// and is moved only when it fires.
struct Silence {
    limit: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            timer: None,
        }
    }

    fn ended(&mut self) {
        self.since = None;
    }

    /// Ready with the error once the silence has lasted too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let Some(deadline) = since.checked_add(self.limit) else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(Error::timeout(Phase::Idle, self.limit));
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn chunks(texts: &'static [&'static str]) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        stream::iter(
            texts
                .iter()
                .map(|text| Ok(Bytes::from_static(text.as_bytes()))),
        )
    }

    #[tokio::test]
    async fn collects_all_pieces() {
        let body = WireBody::from_stream(chunks(&["a", "", "bc", "d"]));
        assert_eq!(body.collect().await.unwrap(), "abcd");
        assert_eq!(WireBody::whole("x").collect().await.unwrap(), "x");
        assert_eq!(
            WireBody::from_stream(chunks(&[])).collect().await.unwrap(),
            ""
        );
    }

    #[tokio::test]
    async fn ends_at_its_limit_and_at_the_first_error() {
        let source = Source::Elsewhere(Box::pin(chunks(&["abc", "def", "ghi"])));
        let mut body = WireBody::new(source, 5, Duration::MAX);
        assert_eq!(body.next().await.unwrap().unwrap(), "abc");
        let error = body.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadResponse);
        assert_eq!(error.message(), "the response body is larger than 5 bytes");
        assert!(body.next().await.is_none());
        assert!(
            too_large(32 << 20)
                .message()
                .ends_with("larger than 32 MiB")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn counts_silence_from_the_last_piece() {
        let slow = chunks(&["a", "b", "c"]).then(|chunk| async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            chunk
        });
        let source = Source::Elsewhere(Box::pin(slow.chain(stream::pending())));
        let mut body = WireBody::new(source, 100, Duration::from_secs(5));
        for expected in ["a", "b", "c"] {
            assert_eq!(body.next().await.unwrap().unwrap(), expected);
        }
        let start = Instant::now();
        let error = body.next().await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.phase()),
            (ErrorKind::Timeout, Some(Phase::Idle))
        );
        assert_eq!(start.elapsed().as_secs(), 5);
    }
}
