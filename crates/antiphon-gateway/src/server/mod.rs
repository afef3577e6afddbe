//! A socket that serves a site, such as the gateway, until it is told to stop.
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
mod site;
mod timer;
mod tls;
mod unfit;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::FutureExt;
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
    task::JoinSet,
    time::timeout,
};

use crate::{Gateway, ToolSite, observe::Remote};
pub use config::{BodyLimits, ServerConfig};
use connection::Guarded;
use door::Door;
use peer::Peer;
pub(crate) use site::Site;
pub use tls::{Tls, TlsError, Warning};

/// Connections that may wait to be accepted: clients open hundreds at once.
const BACKLOG: u32 = 4096;
/// Time between two signs of life that a connection of HTTP/2 is asked for.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Time in which the last bytes are taken by those who read them, once all is said.
const GRACE: Duration = Duration::from_secs(1);

/// A socket that waits for what it is to serve.
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

    /// Serves the gateway until `stop` is ready. Then no new call is taken, calls under way have the time to end, and
    /// whoever asks for the gateway's health hears of it meanwhile. Calls that have not ended by then are ended with an
    /// error. Gives how many those were.
    pub async fn run(self, gateway: Gateway, stop: impl Future<Output = ()>) -> usize {
        self.host(gateway, stop).await
    }

    /// Serves the tools of MCP until `stop` is ready. Then sessions and calls under way end at once. Gives how many calls
    /// had not ended all the same.
    pub async fn run_tools(self, tools: ToolSite, stop: impl Future<Output = ()>) -> usize {
        self.host(tools, stop).await
    }

    /// Serves a site as [`Self::run`] does the gateway.
    async fn host<S: Site>(self, site: S, stop: impl Future<Output = ()>) -> usize {
        let host = Host {
            builder: builder(&self.config),
            router: site.router(),
            site: site.clone(),
            config: Arc::clone(&self.config),
        };
        let calls = Arc::clone(site.calls());
        let mut connections = Connections {
            host,
            places: Arc::new(Semaphore::new(self.config.max_connections)),
            graceful: Some(GracefulShutdown::new()),
            tasks: JoinSet::new(),
        };
        tokio::select! {
            () = stop => {}
            never = connections.accept(&self.listener) => match never {},
        }
        calls.drain();
        site.close();
        let graceful = connections.graceful.take().unwrap_or_default();
        let closed = graceful.shutdown().shared();
        let drained = async {
            tokio::select! {
                () = closed.clone() => calls.ended().await,
                // who does not read is not waited for
                () = calls.ended() => drop(timeout(GRACE, closed.clone()).await),
            }
        };
        tokio::select! {
            _in_time = timeout(self.config.drain, drained) => {}
            never = connections.accept(&self.listener) => match never {},
        }
        drop(self.listener);
        let cut_off = calls.under_way();
        if cut_off > 0 {
            calls.end();
            let told = async { tokio::join!(calls.ended(), closed) };
            let _in_time = timeout(GRACE, told).await;
        }
        connections.tasks.shutdown().await;
        // requests of HTTP/2 are tasks of their own, which end with their connection
        let _in_time = timeout(GRACE, calls.ended()).await;
        cut_off
    }
}

/// The connections of a server.
struct Connections<S> {
    host: Host<S>,
    places: Arc<Semaphore>,
    /// Tells them to end after the request that they are at; `None` once it has.
    graceful: Option<GracefulShutdown>,
    tasks: JoinSet<()>,
}

impl<S: Site> Connections<S> {
    /// Accepts and serves them.
    async fn accept(&mut self, listener: &TcpListener) -> Infallible {
        loop {
            match accept(listener, &self.places).await {
                Ok((tcp, peer, place)) => {
                    let watcher = self.graceful.as_ref().map(GracefulShutdown::watcher);
                    let connection = self.host.clone().serve(tcp, Remote(peer.ip()), watcher);
                    self.tasks.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                // out of files, or a peer that left while it waited: neither must end the server
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            while self.tasks.try_join_next().is_some() {}
        }
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
struct Host<S> {
    builder: Builder<TokioExecutor>,
    router: axum::Router,
    site: S,
    config: Arc<ServerConfig>,
}

impl<S: Site> Host<S> {
    async fn serve(self, tcp: TcpStream, remote: Remote, watcher: Option<Watcher>) {
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

    async fn converse<T>(self, io: T, remote: Remote, watcher: Option<Watcher>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = Arc::new(Peer::default());
        let guarded = Guarded::new(io, Arc::clone(&self.config), Arc::clone(&peer));
        let door = Door {
            site: self.site,
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
        let _ended = match watcher {
            Some(watcher) => watcher.watch(connection).await,
            None => connection.await,
        };
    }
}
