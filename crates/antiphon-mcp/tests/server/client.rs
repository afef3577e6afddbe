//! A client that says what it is told to say, and nothing by itself.

use std::sync::Arc;

use antiphon_mcp::{Server, ServerConfig, Tool};
use serde_json::{Value, json};
use tokio::{
    io::{
        AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, split,
    },
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// The other end of a server's connection.
pub(crate) struct Client {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
    pub(crate) stop: CancellationToken,
    pub(crate) served: JoinHandle<std::io::Result<()>>,
    calls: u64,
}

impl Client {
    /// Of a server of these tools. Nothing has been said yet.
    pub(crate) fn connect(tools: Vec<Arc<dyn Tool>>) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (reader, writer) = split(theirs);
        let stop = CancellationToken::new();
        let config = ServerConfig {
            instructions: "use them".to_owned(),
            ..ServerConfig::default()
        };
        let server = Server::new(tools, config);
        let served = tokio::spawn({
            let stop = stop.clone();
            async move { server.serve_on(reader, writer, stop).await }
        });
        let (reader, writer) = split(ours);
        Self {
            lines: BufReader::new(reader).lines(),
            writer,
            stop,
            served,
            calls: 0,
        }
    }

    /// The same, introduced in the handshake era as one that lends its model.
    pub(crate) async fn introduced(tools: Vec<Arc<dyn Tool>>) -> Self {
        let mut client = Self::connect(tools);
        client.introduce().await;
        client
    }

    pub(crate) async fn introduce(&mut self) -> Value {
        let params = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {"sampling": {}},
            "clientInfo": {"name": "raw", "version": "1"},
        });
        self.send(
            &json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": params}),
        )
        .await;
        let answer = self.next().await;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        answer
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string()).await;
    }

    pub(crate) async fn send_line(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.writer.write_all(line.as_bytes()).await.unwrap();
    }

    /// What the server says next.
    pub(crate) async fn next(&mut self) -> Value {
        let line = self.lines.next_line().await.unwrap();
        serde_json::from_str(&line.expect("the server has closed the connection")).unwrap()
    }

    /// Nothing more is said.
    pub(crate) async fn hears_the_end(&mut self) {
        assert_eq!(self.lines.next_line().await.unwrap(), None);
    }

    /// Begins a call of a tool, and gives the request's id.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.call_with(json!({"name": tool, "arguments": arguments}))
            .await
    }

    pub(crate) async fn call_with(&mut self, params: Value) -> u64 {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))
            .await;
        id
    }

    pub(crate) async fn cancel(&mut self, id: u64) {
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}))
            .await;
    }

    /// Closes the client's side of the connection only.
    pub(crate) async fn hang_up(&mut self) {
        self.writer.shutdown().await.unwrap();
    }
}
