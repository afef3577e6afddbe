//! The connection of a client, watched.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rmcp::{
    RoleServer,
    model::{ClientNotification, ErrorData, JsonRpcMessage, RequestId},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{Transport, async_rw::AsyncRwTransport},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Empty},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::incoming::{Incoming, Received};

/// Bytes of the longest message that is read: documents travel in arguments.
const LONGEST_MESSAGE: usize = 32 << 20;
/// Requests of a client that are under way at once; one more is refused.
const MOST_REQUESTS: usize = 4096;
/// Bytes of their messages together.
const MOST_BYTES: usize = 256 << 20;
/// Messages that wait to be written; with more of them nothing further is read. A client that does not read what it is sent
/// would else fill the memory with answers. It is as many as a client may send before it reads for the first time.
const MOST_UNSENT: usize = 4096;

/// A connection that says when its client is gone: the library waits for calls under way first, for seconds, and then for
/// nobody. What comes before the first request is dropped, where the library would end the connection. A client can have so
/// many requests under way and no more, none of them under the id of another, which would get an answer too few.
pub(super) struct Wire<R, W: AsyncWrite> {
    incoming: Incoming<R>,
    writer: AsyncRwTransport<RoleServer, Empty, W>,
    gone: CancellationToken,
    has_begun: bool,
    under_way: Arc<Mutex<UnderWay>>,
    unsent: watch::Sender<usize>,
}

/// Requests without an answer, and the bytes that each came with.
#[derive(Debug, Default)]
struct UnderWay {
    requests: HashMap<RequestId, usize>,
    bytes: usize,
}

impl UnderWay {
    /// # Errors
    /// Why there is no place for it.
    fn begin(&mut self, id: &RequestId, bytes: usize) -> Result<(), &'static str> {
        if self.requests.contains_key(id) {
            return Err("a request with this id is under way: each needs an id of its own");
        }
        let is_full = self.requests.len() >= MOST_REQUESTS;
        // one at least, however long it is
        if is_full || (self.bytes > 0 && self.bytes + bytes > MOST_BYTES) {
            return Err(
                "too many requests are under way: send this one again when some of them are answered",
            );
        }
        self.requests.insert(id.clone(), bytes);
        self.bytes += bytes;
        Ok(())
    }

    fn end(&mut self, id: &RequestId) {
        self.bytes -= self.requests.remove(id).unwrap_or(0);
    }
}

/// A message that is not written yet.
struct Unsent(watch::Sender<usize>);

impl Unsent {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl<R, W> Wire<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(super) fn new(reader: R, writer: W, gone: CancellationToken) -> Self {
        Self {
            incoming: Incoming::new(reader, LONGEST_MESSAGE),
            writer: AsyncRwTransport::new_server(tokio::io::empty(), writer),
            gone,
            has_begun: false,
            under_way: Arc::default(),
            unsent: watch::Sender::new(0),
        }
    }

    /// Begins what a message asks for.
    ///
    /// # Errors
    /// The answer to a request that is not begun.
    fn begin(
        &mut self,
        message: &RxJsonRpcMessage<RoleServer>,
        bytes: usize,
    ) -> Result<(), Box<TxJsonRpcMessage<RoleServer>>> {
        match message {
            JsonRpcMessage::Request(request) => {
                self.has_begun = true;
                lock(&self.under_way)
                    .begin(&request.id, bytes)
                    .map_err(|why| {
                        let error = ErrorData::invalid_request(why, None);
                        Box::new(JsonRpcMessage::error(error, Some(request.id.clone())))
                    })
            }
            JsonRpcMessage::Notification(told) => {
                if let ClientNotification::CancelledNotification(cancelled) = &told.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    // it is not answered
                    lock(&self.under_way).end(id);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Sends an answer that the library knows nothing of.
    fn refuse(&mut self, refusal: TxJsonRpcMessage<RoleServer>) {
        let unsent = Unsent::new(&self.unsent);
        let sent = self.writer.send(refusal);
        tokio::spawn(async move {
            // a client that is gone hears nothing
            let _gone = sent.await;
            drop(unsent);
        });
    }
}

impl<R, W> Transport<RoleServer> for Wire<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = std::io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answered = match &item {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        if let Some(id) = answered {
            lock(&self.under_way).end(id);
        }
        let unsent = Unsent::new(&self.unsent);
        let sent = self.writer.send(item);
        async move {
            let outcome = sent.await;
            drop(unsent);
            outcome
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let mut unsent = self.unsent.subscribe();
            // its sender lives as long as this value
            let _below = unsent.wait_for(|count| *count < MOST_UNSENT).await;
            drop(_below);
            match self.incoming.next().await {
                None => {
                    self.gone.cancel();
                    return None;
                }
                Some(Received::Refused(refusal)) if self.has_begun => self.refuse(*refusal),
                Some(Received::Refused(_)) => {}
                Some(Received::Message(message, bytes)) => match self.begin(&message, bytes) {
                    Ok(()) if self.has_begun => return Some(*message),
                    Ok(()) => {}
                    Err(refusal) => self.refuse(*refusal),
                },
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.gone.cancel();
        self.writer.close().await
    }
}

fn lock(under_way: &Mutex<UnderWay>) -> MutexGuard<'_, UnderWay> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}
