//! [`Server`]: tools for the clients of the Model Context Protocol.

mod back_channel;
mod bears;
mod handler;

use std::{io, num::NonZeroUsize, sync::Arc, time::Duration};

use antiphon_core::layers::queue::{OnFailure, QueueConfig};
use rmcp::{ServiceExt, transport::io::stdio_pipes};
use tokio_util::sync::CancellationToken;

use crate::Tool;
use handler::Handler;

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
    tools: Arc<[Arc<dyn Tool>]>,
    config: Arc<ServerConfig>,
}

impl Server {
    /// A server of these tools.
    pub fn new(tools: Vec<Arc<dyn Tool>>, config: ServerConfig) -> Self {
        Self {
            tools: tools.into(),
            config: Arc::new(config),
        }
    }

    /// Serves the one client at the other end of stdin and stdout, until it closes them or `stop` is cancelled.
    ///
    /// # Errors
    /// What came is not this protocol.
    pub async fn serve_stdio(&self, stop: CancellationToken) -> io::Result<()> {
        let handler = Handler::new(self);
        let running = match handler.serve_with_ct(stdio_pipes(), stop).await {
            Ok(running) => running,
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(rmcp::service::ServerInitializeError::Cancelled) => return Ok(()),
            Err(error) => return Err(io::Error::other(error.to_string())),
        };
        let _how = running.waiting().await.map_err(io::Error::other)?;
        Ok(())
    }
}
