//! One HTTP/2 connection of several to the same origin (a shard), and the streams on it.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use antiphon_core::Error;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::Response;
use http_body::Body as _;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
    rt::{Read, ReadBufCursor, Write},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::oneshot;

use super::{
    failure,
    http1::{Broken, Message},
    pool::Slot,
    stream::ByteStream,
};

/// Most streams of ours on one connection, where the server allows more: all of them share one task and one TCP window.
const MOST_STREAMS: usize = 256;
/// Stands for "no SETTINGS yet": no frame can announce it, and no limit at all reads as `usize::MAX`.
const UNKNOWN: usize = usize::MAX - 1;
/// What one unread body may hold up, in bytes.
const STREAM_WINDOW: u32 = 256 << 10;
/// Room for every stream's window, so that a body nobody reads never stalls its neighbours.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST_STREAMS as u32;
/// Bound of a response head in bytes.
const HEADERS: u32 = 64 << 10;
/// A dead connection is found by pings while streams are open: nothing else would tell before their own limits.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(20);

/// A connection: where to send, and how many streams the server allows at the moment.
#[derive(Debug)]
pub(super) struct Http2 {
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) limit: Arc<AtomicUsize>,
}

impl Http2 {
    /// Opens a connection and waits for the server's SETTINGS, which come first of all that it sends: before them any
    /// number of streams is a guess, and too many would queue where nobody sees them.
    pub(super) async fn open(stream: ByteStream) -> Result<Self, hyper::Error> {
        let arrivals = Arc::new(Arrivals::default());
        let (sender, mut connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_max_send_streams(UNKNOWN)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADERS)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER)
            .handshake(Watched {
                stream: TokioIo::new(stream),
                has_read: false,
                arrivals: Arc::clone(&arrivals),
            })
            .await?;
        let limit = Arc::new(AtomicUsize::new(0));
        let (tell, told) = oneshot::channel();
        let (mut tell, current) = (Some(tell), Arc::clone(&limit));
        tokio::spawn(poll_fn(move |cx| {
            arrivals.reader.register(cx.waker());
            let closed = Pin::new(&mut connection).poll(cx);
            let allowed = connection.current_max_send_streams();
            if allowed != UNKNOWN {
                // a server that allows none for now makes its one stream wait, not open connection after connection
                current.store(allowed.clamp(1, MOST_STREAMS), Ordering::Relaxed);
                arrivals.settled.store(true, Ordering::Relaxed);
                if let Some(tell) = tell.take() {
                    let _ = tell.send(Ok(()));
                }
            }
            if let Poll::Ready(Err(error)) = closed {
                if let Some(tell) = tell.take() {
                    let _ = tell.send(Err(error));
                }
                return Poll::Ready(());
            }
            closed.map(drop)
        }));
        match told.await {
            Ok(settled) => settled.map(|()| Self { sender, limit }),
            // closed in good order before its first frame: the same as refusing every stream
            Err(_) => {
                let mut sender = sender;
                sender.ready().await.map(|()| Self { sender, limit })
            }
        }
    }
}

/// Tells the task of a connection that frames have been read: hyper itself wakes it for requests only.
#[derive(Debug, Default)]
struct Arrivals {
    reader: AtomicWaker,
    settled: AtomicBool,
}

/// A stream that reports reads until the SETTINGS are known.
struct Watched {
    stream: TokioIo<ByteStream>,
    has_read: bool,
    arrivals: Arc<Arrivals>,
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // at the start of the read after one that brought bytes: only then have those been understood
        if self.has_read && !self.arrivals.settled.load(Ordering::Relaxed) {
            self.arrivals.reader.wake();
        }
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.has_read = true;
        Poll::Ready(Ok(()))
    }
}

impl Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }
}

/// Sends a request on a stream of its own and waits for the head of the response. Dropping the future resets the stream.
pub(super) async fn exchange(
    slot: &mut Slot,
    message: Message,
) -> Result<Response<Incoming>, Broken> {
    slot.sender
        .try_send_request(message)
        .await
        .map_err(|mut error| match error.take_message() {
            Some(message) => Broken::Unsent(Box::new(message)),
            None => Broken::Failed(error.into_error()),
        })
}

/// A body on its way over a stream, whose place is free again when it ends or is dropped.
#[derive(Debug)]
pub(super) struct Http2Body {
    // before the slot: a dropped body resets its stream first, then the place is given on
    incoming: Incoming,
    slot: Option<Slot>,
}

impl Http2Body {
    pub(super) fn new(incoming: Incoming, slot: Slot) -> Self {
        Self {
            incoming,
            slot: Some(slot),
        }
    }

    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                None => {
                    self.slot = None;
                    return Poll::Ready(None);
                }
                Some(Ok(frame)) => {
                    let Ok(chunk) = frame.into_data() else {
                        continue;
                    };
                    if self.incoming.is_end_stream() {
                        self.slot = None;
                    }
                    return Poll::Ready(Some(Ok(chunk)));
                }
                Some(Err(error)) => {
                    let failed = match self.slot.take() {
                        Some(slot) => failure::exchange(error, slot.pool.origin()),
                        None => failure::exchange(error, "the server"),
                    };
                    return Poll::Ready(Some(Err(failed)));
                }
            }
        }
    }
}
