//! [`Server`]: tools for the clients of the Model Context Protocol.

mod arguments;
mod back_channel;
mod bears;
mod catalog;
mod handler;
mod http;
mod incoming;
mod line;
mod outline;
mod progress;
mod rounds;
mod wire;
mod withdrawal;

use std::{io, num::NonZeroUsize, sync::Arc, time::Duration};

use antiphon_core::{
    SystemClock,
    layers::queue::{OnFailure, QueueConfig},
};
use rmcp::{ServiceExt, service::ServerInitializeError, transport::io::stdio_pipes};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::Tool;
use catalog::Catalog;
use handler::Handler;
pub use http::{HttpConfig, HttpService, Principal};
use rounds::Seal;
use wire::Wire;

pub use bears::Bears;

/// How a server deals with its clients.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What clients are told of the server, for the model that uses its tools.
    pub instructions: String,
    /// Its version.
    pub version: String,
    /// Calls of a client's model that are out at once.
    pub bears: Bears,
    /// What a failed call of a client's model means for the others; a group of them is what one call of a tool asks.
    pub on_failure: OnFailure,
    /// Calls that may wait for a client's model; one more fails at once. `None`: any number.
    pub max_waiting: Option<NonZeroUsize>,
    /// The longest that a call of a client's model may take: a person may have to approve it.
    pub call_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            instructions: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            bears: Bears::default(),
            on_failure: OnFailure::default(),
            max_waiting: None,
            call_timeout: Duration::from_secs(600),
        }
    }
}

impl ServerConfig {
    fn queue(&self) -> QueueConfig {
        QueueConfig {
            on_failure: self.on_failure,
            call_timeout: Some(self.call_timeout),
            longest: self.max_waiting,
        }
    }
}

/// Tools, served.
#[derive(Clone, Debug)]
pub struct Server {
    catalog: Arc<Catalog>,
    config: Arc<ServerConfig>,
    seal: Arc<Seal>,
}

impl Server {
    /// A server of these tools.
    pub fn new(tools: Vec<Arc<dyn Tool>>, config: ServerConfig) -> Self {
        let seal = Seal::new(SystemClock::shared(), config.call_timeout);
        Self {
            catalog: Arc::new(Catalog::new(tools)),
            config: Arc::new(config),
            seal: Arc::new(seal),
        }
    }

    /// Serves the one client at the other end of stdin and stdout, until it closes them or `stop` is cancelled.
    ///
    /// # Errors
    /// As [`Self::serve_on`].
    pub async fn serve_stdio(&self, stop: CancellationToken) -> io::Result<()> {
        let (reader, writer) = stdio_pipes();
        self.serve_on(reader, writer, stop).await
    }

    /// Serves the one client at the other end of a connection, until it closes that or `stop` is cancelled. Calls under way
    /// are then given up. What is no message of this protocol is refused, and passed over where nobody can wait for an answer.
    ///
    /// # Errors
    /// The connection cannot be written to, or its client and this server know no version of the protocol in common.
    pub async fn serve_on<R, W>(
        &self,
        reader: R,
        writer: W,
        stop: CancellationToken,
    ) -> io::Result<()>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let gone = stop.child_token();
        let handler = Handler::new(self, gone.clone());
        let wire = Wire::new(reader, writer, gone);
        let serving = handler.serve_with_ct(wire, stop.clone());
        // the library listens to its token only once the client has introduced itself
        let begun = tokio::select! {
            begun = serving => begun,
            () = stop.cancelled() => return Ok(()),
        };
        let running = match begun {
            Ok(running) => running,
            Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
                return Ok(());
            }
            Err(error) => return Err(io::Error::other(error.to_string())),
        };
        let _how = running.waiting().await.map_err(io::Error::other)?;
        Ok(())
    }
}
