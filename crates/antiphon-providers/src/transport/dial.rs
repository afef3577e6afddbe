//! From an origin to a connected stream: DNS, TCP, proxy, TLS.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use antiphon_core::{Error, ErrorKind};
use futures_util::{StreamExt, stream::FuturesUnordered};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Scheme,
    dns::Resolver,
    failure,
    proxy::Proxy,
    stream::ByteStream,
    target::Origin,
    tls::{Peer, Tls, chose_http2},
};

/// Pause before the next address is tried beside one that does not answer (RFC 8305, section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// A reasoning model may be silent for ten minutes; firewalls forget a silent connection after about five.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Most bytes of a proxy's answer to CONNECT.
const PROXY_ANSWER: usize = 8 << 10;

/// Opens connections.
#[derive(Debug)]
pub(super) struct Dialer {
    resolver: Resolver,
    tls: Tls,
}

/// A connection that nothing has been sent on.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) stream: ByteStream,
    /// Whether the server chose HTTP/2.
    pub(super) http2: bool,
}

impl Dialer {
    pub(super) fn new(tls: Tls) -> Self {
        Self {
            resolver: Resolver::default(),
            tls,
        }
    }

    /// Connects. It has no limit of its own: the pool has one for this and for the wait before it.
    pub(super) async fn dial(
        &self,
        origin: &Origin,
        proxy: Option<&Proxy>,
    ) -> Result<Dialed, Error> {
        match proxy {
            None => self.dial_directly(origin).await,
            Some(proxy) => self.dial_through(origin, proxy).await,
        }
    }

    async fn dial_directly(&self, origin: &Origin) -> Result<Dialed, Error> {
        let tcp = self.tcp(origin).await?;
        if origin.scheme == Scheme::Http {
            return Ok(Dialed::http1(ByteStream::Tcp(tcp)));
        }
        let tls = self.tls.handshake(tcp, &origin.host, Peer::Server).await?;
        Ok(Dialed {
            http2: chose_http2(&tls),
            stream: ByteStream::Tls(Box::new(tls)),
        })
    }

    async fn dial_through(&self, origin: &Origin, proxy: &Proxy) -> Result<Dialed, Error> {
        let hop: &Arc<Origin> = proxy.target.origin();
        let mut tcp = self.tcp(hop).await?;
        if hop.scheme == Scheme::Http {
            if proxy.forwards(origin) {
                return Ok(Dialed::http1(ByteStream::Tcp(tcp)));
            }
            tunnel(&mut tcp, origin, proxy).await?;
            let tls = self.tls.handshake(tcp, &origin.host, Peer::Server).await?;
            return Ok(Dialed {
                http2: chose_http2(&tls),
                stream: ByteStream::Tls(Box::new(tls)),
            });
        }
        let mut outer = self.tls.handshake(tcp, &hop.host, Peer::Proxy).await?;
        if proxy.forwards(origin) {
            return Ok(Dialed::http1(ByteStream::Tls(Box::new(outer))));
        }
        tunnel(&mut outer, origin, proxy).await?;
        let inner = self
            .tls
            .handshake(outer, &origin.host, Peer::Server)
            .await?;
        Ok(Dialed {
            http2: chose_http2(&inner),
            stream: ByteStream::TlsThroughTls(Box::new(inner)),
        })
    }

    async fn tcp(&self, origin: &Origin) -> Result<TcpStream, Error> {
        let addresses = self.resolver.resolve(&origin.host, origin.port).await?;
        let stream = connect_any(&addresses)
            .await
            .and_then(prepare)
            .map_err(|error| failure::connect(error, origin.host_and_port()))?;
        Ok(stream)
    }
}

impl Dialed {
    fn http1(stream: ByteStream) -> Self {
        Self {
            stream,
            http2: false,
        }
    }
}

/// The first address that answers. The next one is tried as soon as one refuses, or beside it when it stays silent.
async fn connect_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut rest = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    attempts.extend(rest.next().map(TcpStream::connect));
    loop {
        let more = rest.len() > 0;
        tokio::select! {
            outcome = attempts.next() => match outcome {
                None => return Err(last),
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => {
                    last = error;
                    attempts.extend(rest.next().map(TcpStream::connect));
                }
            },
            () = tokio::time::sleep(NEXT_ADDRESS), if more => {
                attempts.extend(rest.next().map(TcpStream::connect));
            }
        }
    }
}

fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    // requests are single writes: waiting for more to send would only add a delay
    stream.set_nodelay(true)?;
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE)
        .with_interval(KEEP_ALIVE);
    // a refinement that an odd platform may refuse
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keep_alive);
    Ok(stream)
}

/// Asks a proxy for a tunnel (RFC 9110, section 9.3.6).
async fn tunnel<S>(stream: &mut S, origin: &Origin, proxy: &Proxy) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let hop = proxy.target.origin();
    let goal = origin.host_and_port();
    let mut ask = format!("CONNECT {goal} HTTP/1.1\r\nhost: {goal}\r\n").into_bytes();
    if let Some(login) = &proxy.login {
        ask.extend_from_slice(b"proxy-authorization: ");
        ask.extend_from_slice(login.as_bytes());
        ask.extend_from_slice(b"\r\n");
    }
    ask.extend_from_slice(b"\r\n");
    let answer = exchange(stream, &ask)
        .await
        .map_err(|error| failure::connect(error, format_args!("proxy {hop}")))?;
    let status = answer
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse::<u16>().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(407) => Err(Error::new(
            ErrorKind::Connection,
            format!("proxy {hop} wants a user name and password (HTTP 407)"),
        )
        .with_should_retry(Some(false))
        .stopping_the_run()),
        Some(status) => Err(Error::new(
            ErrorKind::Connection,
            format!("proxy {hop} does not connect to {goal} (HTTP {status})"),
        )),
        None => Err(Error::new(
            ErrorKind::BadResponse,
            format!("proxy {hop} answered with something that is not HTTP"),
        )),
    }
}

/// Sends the question and reads the head of the answer. Nothing can follow it: in TLS the client speaks first.
async fn exchange<S>(stream: &mut S, ask: &[u8]) -> io::Result<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(ask).await?;
    stream.flush().await?;
    let mut answer = Vec::with_capacity(256);
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > PROXY_ANSWER {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its answer is too long",
            ));
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it closed the connection",
            ));
        }
    }
    Ok(answer)
}
