//! The simulated provider as an HTTP server.

mod connection;
mod control;
mod respond;
mod route;
mod tls;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::Simulator;
use connection::Connection;
use route::Service;

/// Connections that may wait to be accepted: a run opens hundreds at once.
const BACKLOG: u32 = 4096;
/// Time that answers under way have once the server is told to stop; one that hangs would never end.
const DRAIN: Duration = Duration::from_secs(2);
/// Streams that a peer may reset before they are accepted. Hedging cancels a lot, which is no attack here.
const MOST_PENDING_RESETS: usize = 10_000;

/// An HTTP server on HTTP/1.1 and HTTP/2 (with prior knowledge, or by ALPN under TLS) that speaks both dialects:
/// `POST` to `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings`, `/v1/messages` and `/v1/messages/count_tokens`,
/// `GET /v1/models`, and `/sim/…` for its own books.
#[derive(Debug)]
pub struct SimServer {
    listener: TcpListener,
    address: SocketAddr,
    simulator: Simulator,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl SimServer {
    /// Binds the address; port 0 takes a free one. With [`SimConfig::tls_certificate`](crate::SimConfig) it makes a
    /// certificate and writes it.
    ///
    /// # Errors
    /// The address is taken, or the certificate cannot be written.
    pub async fn bind(address: SocketAddr, simulator: Simulator) -> io::Result<Self> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let tls = match &simulator.config().tls_certificate {
            Some(path) => Some(Tls(tls::acceptor(address, path)?)),
            None => None,
        };
        Ok(Self {
            listener,
            address,
            simulator,
            tls,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL without `/v1`: `http://127.0.0.1:8089`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `stop` is ready. Idle connections then close; answers under way have two seconds.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
                // finished connections must not pile up in the set
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((tcp, _)) => {
                    self.simulator.ledger().connected();
                    connections.spawn(self.host(tcp).serve(stopped.clone()));
                }
                // out of files, or a peer that left while it waited: neither must end the server
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        drop(self.listener);
        stopping.send_replace(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        // what has not ended by then is aborted as the set is dropped
        let _ = tokio::time::timeout(DRAIN, drained).await;
    }

    /// Serves in the background, on the current runtime.
    pub fn spawn(self) -> RunningSim {
        let (stop, stopped) = watch::channel(false);
        let (address, url, simulator) = (self.address, self.url(), self.simulator.clone());
        let task = tokio::spawn(self.run(async move { wait_for(stopped).await }));
        RunningSim {
            address,
            url,
            simulator,
            stop,
            task,
        }
    }

    fn host(&self, tcp: TcpStream) -> Host {
        let config = &self.simulator.state().config;
        Host {
            tcp,
            tls: self.tls.clone(),
            simulator: self.simulator.clone(),
            max_streams: config.max_streams,
        }
    }
}

/// A server in the background. Dropped, it stops as it does on [`RunningSim::stop`], without being waited for.
#[derive(Debug)]
pub struct RunningSim {
    address: SocketAddr,
    url: String,
    simulator: Simulator,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunningSim {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL without `/v1`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The provider that answers: its books, its faults, its outages.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// Stops and waits for answers under way, two seconds at most.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // the task only ends early with its runtime
        let _ = self.task.await;
    }
}

/// Ready once the other side says so, or is gone.
async fn wait_for(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// One connection and what serves it.
struct Host {
    tcp: TcpStream,
    tls: Option<Tls>,
    simulator: Simulator,
    max_streams: u32,
}

impl Host {
    async fn serve(self, stopped: watch::Receiver<bool>) {
        // small answers must not wait for their acknowledgement
        let _ = self.tcp.set_nodelay(true);
        let reset = Arc::new(AtomicBool::new(false));
        let service = Service {
            simulator: self.simulator,
            reset: reset.clone(),
        };
        let connection = Connection {
            tcp: self.tcp,
            reset,
        };
        match self.tls {
            None => converse(connection, service, self.max_streams, stopped).await,
            Some(Tls(acceptor)) => {
                // a handshake that fails is the caller's to notice
                if let Ok(secured) = acceptor.accept(connection).await {
                    converse(secured, service, self.max_streams, stopped).await;
                }
            }
        }
    }
}

async fn converse<C>(
    connection: C,
    service: Service,
    max_streams: u32,
    stopped: watch::Receiver<bool>,
) where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .max_concurrent_streams(max_streams)
        .max_pending_accept_reset_streams(MOST_PENDING_RESETS)
        .max_local_error_reset_streams(None);
    let serve = service_fn(move |request| service.clone().serve(request));
    let conversation = builder.serve_connection(TokioIo::new(connection), serve);
    tokio::pin!(conversation);
    // errors of a connection are the peer's doing or a fault of ours by intent
    tokio::select! {
        _ = conversation.as_mut() => return,
        () = wait_for(stopped) => {}
    }
    conversation.as_mut().graceful_shutdown();
    let _ = conversation.await;
}
