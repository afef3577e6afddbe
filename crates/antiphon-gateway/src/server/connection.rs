//! A connection that is guarded: heads are judged before they are read, and nobody is waited for without end.
//!
//! ```text
//! socket or TLS ──> held: a head until it is whole ──judged──> ready ──> HTTP
//!                     └─ unfit: a request that can only be refused takes its place; what follows is thrown away
//! ```

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{ServerConfig, heads::Heads, peer::Peer, timer::Timer, unfit::Unfit};

/// Bytes that are read at once where they are not the reader's own.
const PIECE: usize = 8 << 10;
/// Pieces that are thrown away before others get their turn.
const PIECES: usize = 32;
/// Stands in for a refused request, so that its refusal comes in its turn and as every other answer does.
const IN_ITS_PLACE: &[u8] = b"GET /refused HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// A guarded connection.
pub(super) struct Guarded<S> {
    io: S,
    config: Arc<ServerConfig>,
    peer: Arc<Peer>,
    heads: Heads,
    /// Of a head that is not whole yet.
    held: BytesMut,
    /// Judged, and not read yet.
    ready: BytesMut,
    fate: Fate,
    /// Requests that had come when this last waited.
    asked: usize,
    reading: Timer,
    writing: Timer,
    lingering: Timer,
}

/// What becomes of the bytes that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Read,
    ThrownAway,
    /// They are no body any more.
    Broken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    pub(super) fn new(io: S, config: Arc<ServerConfig>, peer: Arc<Peer>) -> Self {
        Self {
            heads: Heads::new(config.largest_head, config.most_headers),
            io,
            config,
            peer,
            held: BytesMut::new(),
            ready: BytesMut::new(),
            fate: Fate::Read,
            asked: 0,
            reading: Timer::default(),
            writing: Timer::default(),
            lingering: Timer::default(),
        }
    }

    /// Makes ready what may be read of what is held.
    fn sift(&mut self) {
        while !self.held.is_empty() && self.heads.in_head() {
            let length = match self.heads.head(&self.held) {
                Ok(None) => return,
                Ok(Some(length)) => length,
                Err(unfit) => return self.refuse(unfit),
            };
            self.reading.end();
            self.ready.extend_from_slice(&self.held.split_to(length));
            match self.heads.body(&self.held) {
                Ok(length) => self.ready.extend_from_slice(&self.held.split_to(length)),
                Err(_) => {
                    self.fate = Fate::Broken;
                    return;
                }
            }
        }
        if self.held.is_empty() {
            // thousands of connections that wait need no buffer
            self.held = BytesMut::new();
        }
    }

    fn refuse(&mut self, unfit: Unfit) {
        self.peer.refuse(unfit, &self.held);
        self.held = BytesMut::new();
        self.ready.extend_from_slice(IN_ITS_PLACE);
        self.fate = Fate::ThrownAway;
    }

    /// Reads more of a head. Ready without anything ready: the connection is at its end.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ready.is_empty() && self.fate == Fate::Read && self.heads.in_head() {
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.io).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) if piece.filled().is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    if self.held.is_empty() && !self.heads.is_first() {
                        self.reading.end();
                    }
                    self.held.extend_from_slice(piece.filled());
                    self.sift();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if self.has_waited(cx) => match self.held.is_empty() {
                    true => return Poll::Ready(Ok(())),
                    false => self.refuse(Unfit::late()),
                },
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the next bytes have been waited for long enough. On HTTP/2 those of a request: signs of life are none.
    fn has_waited(&mut self, cx: &mut Context<'_>) -> bool {
        let asked = self.peer.asked();
        if std::mem::replace(&mut self.asked, asked) != asked {
            self.reading.end();
        }
        let is_expected = self.heads.in_head() && (self.heads.is_first() || !self.held.is_empty());
        let limit = match is_expected {
            true => self.config.header_timeout,
            // who waits for an answer has nothing to say
            false if self.peer.is_busy() => {
                self.reading.end();
                return false;
            }
            false => self.config.idle_timeout,
        };
        self.reading.is_out(cx, limit)
    }

    /// Reads what is of no interest any more. Ready at its end.
    fn poll_throw_away(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..PIECES {
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A write that is pending for too long is an error.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Pending if self.writing.is_out(cx, self.config.write_timeout) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(written) => {
                self.writing.end();
                Poll::Ready(written)
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ready.is_empty() {
            ready!(this.poll_head(cx))?;
        }
        if !this.ready.is_empty() {
            let count = this.ready.len().min(buffer.remaining());
            buffer.put_slice(&this.ready[..count]);
            this.ready.advance(count);
            if this.ready.is_empty() {
                this.ready = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        match this.fate {
            Fate::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            Fate::ThrownAway => return this.poll_throw_away(cx),
            // a head that did not come
            Fate::Read if this.heads.in_head() => return Poll::Ready(Ok(())),
            Fate::Read => {}
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buffer) {
            // bodies have a limit of their own, where they are read
            Poll::Pending if !this.heads.in_body() && this.has_waited(cx) => {
                return Poll::Ready(Ok(()));
            }
            Poll::Pending => return Poll::Pending,
            Poll::Ready(read) => read?,
        }
        let read = &buffer.filled()[before..];
        let Ok(count) = this.heads.body(read) else {
            buffer.set_filled(before);
            this.fate = Fate::Broken;
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        };
        // the next request, which was sent before this one was answered
        this.held.extend_from_slice(&read[count..]);
        buffer.set_filled(before + count);
        this.sift();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.in_time(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, slices);
        this.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.in_time(cx, flushed)
    }

    /// Closing while the other side still sends would reset the connection, and with it what it was just told.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.io).poll_shutdown(cx);
        ready!(this.in_time(cx, shut))?;
        let still_sends = this.fate != Fate::Read || this.heads.in_body();
        let linger: Duration = this.config.linger;
        if !still_sends || this.lingering.is_out(cx, linger) {
            return Poll::Ready(Ok(()));
        }
        // its errors are of no interest any more either
        this.poll_throw_away(cx).map(|_| Ok(()))
    }
}
