//! A socket that serves the gateway until it is told to stop.

use std::{io, net::SocketAddr, time::Duration};

use hyper::{
    body::Incoming,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};

use crate::{Gateway, observe::Remote};

/// How a server treats its connections.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Time in which the headers of a request must have come.
    pub header_timeout: Duration,
    /// Time that calls under way have once the server is told to stop.
    pub drain: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }
}

/// A gateway on a socket.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: ServerConfig,
}

impl Server {
    /// Binds the address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub async fn bind(address: SocketAddr, config: ServerConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            config,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready; then nothing new is accepted, and calls under way have the time to end.
    pub async fn run(self, gateway: Gateway, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let service = TowerToHyperService::new(gateway.router());
        let builder = builder(&self.config);
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((tcp, peer)) => {
                    let connection = serve(
                        &builder,
                        tcp,
                        Remote(peer.ip()),
                        service.clone(),
                        graceful.watcher(),
                    );
                    tokio::spawn(connection);
                }
                // out of files, or a peer that left while it waited: neither must end the server
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        drop(self.listener);
        gateway.dashboard().close();
        // what has not ended by then is cut off
        let _in_time = tokio::time::timeout(self.config.drain, graceful.shutdown()).await;
    }
}

fn builder(config: &ServerConfig) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout);
    builder.http2().timer(TokioTimer::new());
    builder
}

fn serve(
    builder: &Builder<TokioExecutor>,
    tcp: TcpStream,
    peer: Remote,
    service: TowerToHyperService<axum::Router>,
    watcher: hyper_util::server::graceful::Watcher,
) -> impl Future<Output = ()> + use<> {
    // small answers must not wait for their acknowledgement
    let _as_it_is = tcp.set_nodelay(true);
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        service.call(request)
    });
    let connection = builder
        .serve_connection(TokioIo::new(tcp), service)
        .into_owned();
    let connection = watcher.watch(connection);
    async move {
        // errors of a connection are the peer's doing
        let _ended = connection.await;
    }
}
