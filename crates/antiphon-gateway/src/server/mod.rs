//! A socket that serves the gateway until it is told to stop.
//!
//! ```text
//! accept (a bound of connections) ──> TLS ──> Guarded: heads judged, slow callers cut ──> HTTP/1.1 and HTTP/2
//!                                                ──> Door: refusals, the bound of calls, panics ──> routes
//! ```

mod config;
mod connection;
mod door;
mod heads;
mod held;
mod peer;
mod timer;
mod tls;
mod unfit;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{Gateway, observe::Remote};
pub use config::{BodyLimits, ServerConfig};
use connection::Guarded;
use door::Door;
use peer::Peer;
pub use tls::{Tls, TlsError, Warning};

/// Connections that may wait to be accepted: clients open hundreds at once.
const BACKLOG: u32 = 4096;
/// Time between two signs of life that a connection of HTTP/2 is asked for.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A gateway on a socket.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Arc<ServerConfig>,
}

impl Server {
    /// Binds the address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub async fn bind(address: SocketAddr, config: ServerConfig) -> io::Result<Self> {
        let socket = match address.is_ipv4() {
            true => TcpSocket::new_v4()?,
            false => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            config: Arc::new(config),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it can be reached: `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        let scheme = if self.config.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `stop` is ready; then nothing new is accepted, and calls under way have the time to end. Gives how
    /// many did not.
    pub async fn run(self, gateway: Gateway, stop: impl Future<Output = ()>) -> usize {
        let graceful = GracefulShutdown::new();
        let host = Host {
            builder: builder(&self.config),
            router: gateway.router(),
            gateway: gateway.clone(),
            config: Arc::clone(&self.config),
        };
        let places = Arc::new(Semaphore::new(self.config.max_connections));
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.listener, &places) => accepted,
            };
            match accepted {
                Ok((tcp, peer, place)) => {
                    let remote = Remote(peer.ip());
                    let connection = host.clone().serve(tcp, remote, graceful.watcher());
                    tokio::spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                // out of files, or a peer that left while it waited: neither must end the server
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        gateway.drain();
        gateway.dashboard().close();
        drop(self.listener);
        // what has not ended by then is cut off
        let _in_time = tokio::time::timeout(self.config.drain, graceful.shutdown()).await;
        gateway.calls_under_way()
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (tcp, peer) = listener.accept().await?;
    Ok((tcp, peer, place))
}

fn builder(config: &ServerConfig) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // heads are counted, measured and waited for where they come in
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(config.most_headers);
    let largest_list = u32::try_from(config.largest_head).unwrap_or(u32::MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_concurrent_streams(config.max_streams)
        .max_header_list_size(largest_list);
    builder
}

/// What serves connections.
#[derive(Clone)]
struct Host {
    builder: Builder<TokioExecutor>,
    router: axum::Router,
    gateway: Gateway,
    config: Arc<ServerConfig>,
}

impl Host {
    async fn serve(self, tcp: TcpStream, remote: Remote, watcher: Watcher) {
        // small answers must not wait for their acknowledgement
        let _as_it_is = tcp.set_nodelay(true);
        let Some(tls) = &self.config.tls else {
            return self.converse(tcp, remote, watcher).await;
        };
        let handshake = tls.acceptor().accept(tcp);
        // a handshake that fails is the caller's to notice
        if let Ok(Ok(secured)) =
            tokio::time::timeout(self.config.handshake_timeout, handshake).await
        {
            self.converse(secured, remote, watcher).await;
        }
    }

    async fn converse<S>(self, io: S, remote: Remote, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = Arc::new(Peer::default());
        let guarded = Guarded::new(io, Arc::clone(&self.config), Arc::clone(&peer));
        let door = Door {
            gateway: self.gateway,
            router: self.router,
            config: self.config,
            peer,
            remote,
        };
        let connection = self
            .builder
            .serve_connection(TokioIo::new(guarded), door)
            .into_owned();
        // errors of a connection are the peer's doing
        let _ended = watcher.watch(connection).await;
    }
}
