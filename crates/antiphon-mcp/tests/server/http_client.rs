//! A client over HTTP that says what it is told to say.

use std::{convert::Infallible, sync::Arc};

use antiphon_mcp::{HttpConfig, HttpService, Principal, Server, ServerConfig, Tool};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// What clients of the newer era say with every request.
pub(crate) fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

pub(crate) fn service(tools: Vec<Arc<dyn Tool>>, config: HttpConfig) -> HttpService {
    let server = Server::new(tools, ServerConfig::default());
    server.http(config, CancellationToken::new())
}

/// One that is in a session, or in none.
pub(crate) struct HttpClient {
    service: HttpService,
    pub(crate) headers: HeaderMap,
    pub(crate) principal: Option<Principal>,
}

impl HttpClient {
    pub(crate) fn new(service: &HttpService) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "localhost:8000"),
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        Self {
            service: service.clone(),
            headers,
            principal: None,
        }
    }

    /// One in a session of the handshake era, which lends its model.
    pub(crate) async fn introduced(service: &HttpService) -> Self {
        let mut client = Self::new(service);
        client.introduce().await;
        client
    }

    /// Begins a session.
    pub(crate) async fn introduce(&mut self) {
        let response = self.initialize().await;
        assert_eq!(response.status, 200);
        let session = response.headers["mcp-session-id"].clone();
        self.headers.insert("mcp-session-id", session);
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(self.post(&told).await.status, 202);
    }

    pub(crate) async fn initialize(&self) -> Answer {
        let params = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {"sampling": {}},
            "clientInfo": {"name": "raw", "version": "1"},
        });
        let message = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        self.post(&message).await
    }

    pub(crate) async fn post(&self, message: &Value) -> Answer {
        self.ask(Method::POST, message.to_string(), None).await
    }

    pub(crate) async fn call(&self, id: u64, tool: &str) -> Answer {
        let params = json!({"name": tool, "arguments": {"prompt": "Hi"}});
        self.post(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))
            .await
    }

    /// Answers what the server has asked of the client's model.
    pub(crate) async fn sampled(&self, asked: &Value, text: &str) {
        let content = json!({"type": "text", "text": text});
        let result = json!({"role": "assistant", "content": content, "model": "m"});
        let message = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
        assert_eq!(self.post(&message).await.status, 202);
    }

    /// Comes back for a stream that broke.
    pub(crate) async fn resume(&self, last_event: &str) -> Answer {
        self.ask(Method::GET, String::new(), Some(last_event)).await
    }

    pub(crate) async fn end_session(&self) -> Answer {
        self.ask(Method::DELETE, String::new(), None).await
    }

    async fn ask(&self, method: Method, body: String, last_event: Option<&str>) -> Answer {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.headers_mut() = self.headers.clone();
        if let Some(last) = last_event {
            let last = last.parse().unwrap();
            request.headers_mut().insert("last-event-id", last);
        }
        if let Some(principal) = &self.principal {
            request.extensions_mut().insert(principal.clone());
        }
        Answer::of(self.service.handle(request).await)
    }
}

/// An answer, whose body is read as it comes. Dropping it hangs up.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The id of the last event.
    pub(crate) last_event: String,
    body: BoxBody<Bytes, Infallible>,
    read: String,
}

impl Answer {
    fn of(response: Response<BoxBody<Bytes, Infallible>>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            last_event: String::new(),
            body,
            read: String::new(),
        }
    }

    /// Reads the event that only gives the stream its name.
    pub(crate) async fn is_named(&mut self) -> bool {
        let frame = self.body.frame().await.unwrap().unwrap();
        let piece = frame.into_data().unwrap_or_default();
        piece.starts_with(b"id:") || piece.windows(4).any(|part| part == b"\nid:")
    }

    /// The next message of the stream; `None` at its end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((event, rest)) = self.read.split_once("\n\n") {
                let mut data = String::new();
                for line in event.lines() {
                    if let Some(id) = line.strip_prefix("id:") {
                        self.last_event = id.trim().to_owned();
                    }
                    data.push_str(line.strip_prefix("data:").unwrap_or_default().trim());
                }
                self.read = rest.to_owned();
                if !data.is_empty() {
                    return Some(serde_json::from_str(&data).unwrap());
                }
            }
            let frame = self.body.frame().await?.unwrap();
            let piece = frame.into_data().unwrap_or_default();
            self.read.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
}
