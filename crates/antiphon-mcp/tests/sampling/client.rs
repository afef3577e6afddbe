//! The client: its model says what the script says.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use antiphon_mcp::{Server, ServerConfig};
use rmcp::{
    ClientHandler, ErrorData, Peer, RoleClient, ServiceExt,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, CreateMessageRequestParams,
        CreateMessageResult, Implementation, ProtocolVersion, Role, SamplingCapability,
        SamplingMessage, SamplingMessageContentBlock as Block,
    },
    service::{RequestContext, RunningService},
};
use serde_json::Value;
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::relay::{Outcome, Relay};

/// What the client's model does with a message.
pub(crate) enum Said {
    Message(Box<CreateMessageResult>),
    Error(ErrorData),
    /// It never answers.
    Nothing,
}

impl Said {
    pub(crate) fn blocks(mut blocks: Vec<Block>) -> Self {
        let message = match blocks.len() {
            1 => SamplingMessage::new(Role::Assistant, blocks.remove(0)),
            _ => SamplingMessage::new_multiple(Role::Assistant, blocks),
        };
        let result = CreateMessageResult::new(message, "scripted-1".to_owned());
        Self::Message(Box::new(result))
    }

    pub(crate) fn stopping(self, reason: &str) -> Self {
        match self {
            Self::Message(result) => Self::Message(Box::new(result.with_stop_reason(reason))),
            other => other,
        }
    }

    pub(crate) fn by_a_user(self) -> Self {
        match self {
            Self::Message(mut result) => {
                result.message.role = Role::User;
                Self::Message(result)
            }
            other => other,
        }
    }
}

pub(crate) struct Scripted {
    config: ClientConfig,
    script: Mutex<VecDeque<Said>>,
    asked: Arc<Mutex<Vec<Value>>>,
    was_asked: Arc<Notify>,
}

impl Scripted {
    pub(crate) fn new(script: Vec<Said>) -> Self {
        let mut capabilities = ClientCapabilities::default();
        capabilities.sampling = Some(SamplingCapability::default());
        let itself = Implementation::new("scripted", "1");
        let config = ClientConfig::new(capabilities, itself)
            .with_protocol_version(ProtocolVersion::V_2025_11_25);
        Self {
            config,
            script: Mutex::new(script.into()),
            asked: Arc::default(),
            was_asked: Arc::default(),
        }
    }

    pub(crate) fn speaking(mut self, version: &str) -> Self {
        self.config.protocol_version = serde_json::from_value(version.into()).unwrap();
        self
    }

    pub(crate) fn taking_tools(mut self) -> Self {
        let sampling = self.config.capabilities.sampling.as_mut().unwrap();
        sampling.tools = Some(serde_json::Map::new());
        self
    }

    pub(crate) fn without_sampling(mut self) -> Self {
        self.config.capabilities.sampling = None;
        self
    }
}

impl ClientHandler for Scripted {
    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        // as text, since a float of 32 bits gets more digits as a value
        let text = serde_json::to_string(&params).unwrap();
        let mut params: Value = serde_json::from_str(&text).unwrap();
        params.as_object_mut().unwrap().shift_remove("_meta");
        self.asked.lock().unwrap().push(params);
        self.was_asked.notify_one();
        let said = self.script.lock().unwrap().pop_front();
        match said.expect("the script has an answer for every message") {
            Said::Message(result) => Ok(*result),
            Said::Error(error) => Err(error),
            Said::Nothing => std::future::pending().await,
        }
    }
}

/// A server of the relay and its client.
pub(crate) struct Pair {
    client: RunningService<RoleClient, Scripted>,
    server: JoinHandle<std::io::Result<()>>,
    outcome: Option<oneshot::Receiver<Outcome>>,
    asked: Arc<Mutex<Vec<Value>>>,
    was_asked: Arc<Notify>,
}

/// Connects a client to a server of the one tool.
pub(crate) async fn connected(client: Scripted) -> Pair {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (relay, outcome) = Relay::new();
    let server = Server::new(vec![Arc::new(relay)], ServerConfig::default());
    let server = tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(ours);
        server
            .serve_on(reader, writer, CancellationToken::new())
            .await
    });
    let (asked, was_asked) = (Arc::clone(&client.asked), Arc::clone(&client.was_asked));
    Pair {
        client: client.serve(theirs).await.unwrap(),
        server,
        outcome: Some(outcome),
        asked,
        was_asked,
    }
}

impl Pair {
    /// Calls the tool: its structured result, or the text of its error.
    pub(crate) async fn call(&self, arguments: Value) -> Result<Value, String> {
        call(self.client.peer().clone(), arguments).await
    }

    /// Begins a call of the tool.
    pub(crate) fn begin(&self, arguments: Value) -> JoinHandle<Result<Value, String>> {
        tokio::spawn(call(self.client.peer().clone(), arguments))
    }

    /// The parameters of all messages that reached the client.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until the client's model has been asked.
    pub(crate) async fn until_asked(&self) {
        self.was_asked.notified().await;
    }

    /// Closes the connection from the client's side.
    pub(crate) async fn hang_up(&mut self) {
        self.client.close().await.unwrap();
    }

    /// Waits for the end of the server; what became of the tool's first call.
    pub(crate) async fn served(mut self) -> Outcome {
        self.server.await.unwrap().unwrap();
        self.outcome.take().unwrap().await.unwrap()
    }

    /// Closes the connection, and waits for the end of the server.
    pub(crate) async fn end(mut self) {
        self.hang_up().await;
        self.server.await.unwrap().unwrap();
    }
}

async fn call(peer: Peer<RoleClient>, arguments: Value) -> Result<Value, String> {
    let arguments = arguments.as_object().cloned().unwrap();
    let params = CallToolRequestParams::new("relay").with_arguments(arguments);
    let result = peer.call_tool(params).await;
    let result = result.map_err(|error| error.to_string())?;
    let result = serde_json::to_value(result).unwrap();
    match result["isError"] == true {
        true => Err(result["content"][0]["text"].as_str().unwrap().to_owned()),
        false => Ok(result["structuredContent"].clone()),
    }
}
