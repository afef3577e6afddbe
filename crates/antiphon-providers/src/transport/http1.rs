//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! hyper would have every connection run in a task of its own: each exchange is then four or five task switches. Here
//! the connection is polled by the request and later by its body, and by nobody while it lies idle in the pool. What
//! happens to it meanwhile (the server closes it) is noticed at the next use, before anything is sent.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use antiphon_core::Error;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;

use super::{failure, pool::Pool, stream::ByteStream};

/// Bound of a response head, and of what is read ahead of a slow reader of the body.
const BUFFER: usize = 64 << 10;
/// Looks at what has already arrived when a body is dropped; see [`Http1Body`].
const LAST_LOOKS: usize = 4;

/// A request as hyper takes it.
pub(super) type Message = Request<Full<Bytes>>;

/// Why an exchange failed.
pub(super) enum Broken {
    /// Nothing of it was sent: it may go out on another connection.
    Unsent(Box<Message>),
    /// It may have been received.
    Failed(hyper::Error),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Http1 {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<ByteStream>, Full<Bytes>>,
    closed: bool,
}

impl Http1 {
    pub(super) async fn open(stream: ByteStream) -> Result<Box<Self>, hyper::Error> {
        let (sender, connection) = Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Box::new(Self {
            sender,
            connection,
            closed: false,
        }))
    }

    /// Reads and writes what it can.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.closed && Pin::new(&mut self.connection).poll(cx).is_ready() {
            // its error, if any, reaches the request or its body as well
            self.closed = true;
        }
    }

    /// Whether the next request can be sent. Asked with a waker that wakes nobody, so that an event on an idle
    /// connection does not disturb the task that used it last.
    pub(super) fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.closed && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of the response. Dropping the future closes the connection.
    pub(super) async fn exchange(
        mut self: Box<Self>,
        message: Message,
    ) -> Result<(Box<Self>, Response<Incoming>), Broken> {
        let mut answer = pin!(self.sender.try_send_request(message));
        let outcome = poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(cx)
        })
        .await;
        match outcome {
            Ok(response) => Ok((self, response)),
            Err(mut error) => Err(match error.take_message() {
                Some(message) => Broken::Unsent(Box::new(message)),
                None => Broken::Failed(error.into_error()),
            }),
        }
    }
}

/// A body on its way over a connection that goes back to the pool at its end.
///
/// A body dropped before its end closes the connection, unless the rest has already arrived: readers of an event
/// stream stop at its last event, one empty chunk before the end of the HTTP message.
#[derive(Debug)]
pub(super) struct Http1Body {
    incoming: Incoming,
    /// Gone once the body has ended or failed.
    connection: Option<(Box<Http1>, Arc<Pool>)>,
}

impl Http1Body {
    pub(super) fn new(incoming: Incoming, connection: Box<Http1>, pool: Arc<Pool>) -> Self {
        Self {
            incoming,
            connection: Some((connection, pool)),
        }
    }

    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let mut frame = Pin::new(&mut self.incoming).poll_frame(cx);
            if frame.is_pending()
                && let Some((connection, _)) = &mut self.connection
            {
                connection.drive(cx);
                frame = Pin::new(&mut self.incoming).poll_frame(cx);
            }
            match std::task::ready!(frame) {
                None => {
                    self.give_back();
                    return Poll::Ready(None);
                }
                Some(Ok(frame)) => {
                    // trailers say nothing that anybody here reads
                    let Ok(chunk) = frame.into_data() else {
                        continue;
                    };
                    if self.incoming.is_end_stream() {
                        self.give_back();
                    }
                    return Poll::Ready(Some(Ok(chunk)));
                }
                Some(Err(error)) => {
                    let failed = match self.connection.take() {
                        Some((_, pool)) => failure::exchange(error, pool.origin()),
                        None => failure::exchange(error, "the server"),
                    };
                    return Poll::Ready(Some(Err(failed)));
                }
            }
        }
    }

    fn give_back(&mut self) {
        if let Some((mut connection, pool)) = self.connection.take()
            && connection.is_ready()
        {
            pool.keep(connection);
        }
    }
}

impl Drop for Http1Body {
    fn drop(&mut self) {
        for _ in 0..LAST_LOOKS {
            if self.connection.is_none() {
                break;
            }
            let cx = &mut Context::from_waker(Waker::noop());
            if !matches!(self.poll_chunk(cx), Poll::Ready(Some(Ok(_)))) {
                break;
            }
        }
    }
}
