//! [`Server`]: tools for the clients of the Model Context Protocol.

mod back_channel;
mod handler;
mod rounds;

use std::{io, num::NonZeroU32, sync::Arc, time::Duration};

use antiphon_core::SystemClock;
use rmcp::{ServiceExt, transport::io::stdio_pipes};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::Tool;
use handler::Handler;
use rounds::Seal;

/// How a server deals with its clients.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What clients are told of the server, for the model that uses its tools.
    pub instructions: String,
    /// Its version.
    pub version: String,
    /// Calls of a client's model that are out at once.
    pub limit: NonZeroU32,
    /// The longest that a call of a client's model may take: a person may have to approve it.
    pub call_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            instructions: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            limit: NonZeroU32::MIN,
            call_timeout: Duration::from_secs(600),
        }
    }
}

/// Tools, served.
#[derive(Clone, Debug)]
pub struct Server {
    tools: Arc<[Arc<dyn Tool>]>,
    config: Arc<ServerConfig>,
    seal: Arc<Seal>,
}

impl Server {
    /// A server of these tools.
    pub fn new(tools: Vec<Arc<dyn Tool>>, config: ServerConfig) -> Self {
        let seal = Seal::new(SystemClock::shared(), config.call_timeout);
        Self {
            tools: tools.into(),
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

    /// Serves the one client at the other end of a connection, until it closes that or `stop` is cancelled.
    ///
    /// # Errors
    /// What came is not this protocol.
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
        let handler = Handler::new(self);
        let running = match handler.serve_with_ct((reader, writer), stop).await {
            Ok(running) => running,
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(rmcp::service::ServerInitializeError::Cancelled) => return Ok(()),
            Err(error) => return Err(io::Error::other(error.to_string())),
        };
        let _how = running.waiting().await.map_err(io::Error::other)?;
        Ok(())
    }
}
