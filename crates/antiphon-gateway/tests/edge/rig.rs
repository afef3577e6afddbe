//! A gateway on a socket, what stands behind it, and a client that hides nothing.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use antiphon::{Config, Session, SystemClock, session::SessionOptions};
use antiphon_gateway::{Gateway, Running, Server, ServerConfig, observe::Observer};
use antiphon_sim::{RunningSim, SimConfig, SimServer, Simulator};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub(crate) const OPENAI: &str = "/v1/chat/completions";
pub(crate) const ANTHROPIC: &str = "/v1/messages";
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway with a simulated provider behind it: `small` in OpenAI's dialect, `claude` in Anthropic's.
pub(crate) struct Rig {
    pub(crate) sim: RunningSim,
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) served: JoinHandle<usize>,
}

pub(crate) async fn simulated(config: SimConfig) -> RunningSim {
    let simulator = Simulator::new(config, SystemClock::shared());
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    SimServer::bind(address, simulator).await.unwrap().spawn()
}

/// A gateway whose models are all at this address.
pub(crate) fn gateway(upstream: SocketAddr, observers: Vec<Arc<dyn Observer>>) -> Gateway {
    let toml = format!(
        "[providers.up]\ndialect = \"openai\"\nbase_url = \"http://{upstream}/v1\"\n\
         [providers.cl]\ndialect = \"anthropic\"\nbase_url = \"http://{upstream}\"\n\
         [models.small]\nuse = \"up/small\"\n[models.claude]\nuse = \"cl/small\"\n"
    );
    let session = Session::new(
        Config::from_toml(&toml).unwrap(),
        SessionOptions::default(),
        &|_| None,
        CancellationToken::new(),
    );
    Gateway::new(Running::open_to_all(session), observers)
}

/// Serves a gateway on a free port.
pub(crate) async fn serve(
    gateway: Gateway,
    config: ServerConfig,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<usize>) {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(address, config).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(server.run(gateway, async {
        let _stopped = stopped.await;
    }));
    (address, stop, served)
}

impl Rig {
    pub(crate) async fn new(config: ServerConfig) -> Self {
        Self::with(config, SimConfig::default()).await
    }

    pub(crate) async fn with(config: ServerConfig, sim: SimConfig) -> Self {
        let sim = simulated(sim).await;
        let gateway = gateway(sim.address(), Vec::new());
        let (address, stop, served) = serve(gateway.clone(), config).await;
        Self {
            sim,
            gateway,
            address,
            stop,
            served,
        }
    }

    /// Attempts that have reached the provider.
    pub(crate) fn asked(&self) -> u64 {
        let report = self.sim.simulator().ledger().report();
        report.asked.max(report.rejected)
    }

    /// Posts a body and reads the answer to its end.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Seen {
        let request = request(path, "", body.to_string().as_bytes());
        exchange(self.address, &request).await
    }
}

/// A question that any of the two dialects takes.
pub(crate) fn question(model: &str) -> Value {
    json!({"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]})
}

/// The same as a stream.
pub(crate) fn streamed(model: &str) -> Value {
    let mut body = question(model);
    body["stream"] = true.into();
    body
}

/// A whole request; extra header lines are ended by CRLF.
pub(crate) fn request(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}connection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What came back on a connection until it was closed.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) text: String,
}

impl Seen {
    /// The status of the first answer; 0 where none came.
    pub(crate) fn status(&self) -> u16 {
        let word = self.text.split(' ').nth(1);
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn body(&self) -> &str {
        self.text
            .split_once("\r\n\r\n")
            .map_or("", |(_, body)| body)
    }

    /// The message of a typed error.
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        let body: Value = serde_json::from_str(self.body())
            .unwrap_or_else(|error| panic!("{error}: {}", self.text));
        let message = body["error"]["message"].as_str();
        message
            .unwrap_or_else(|| panic!("no typed error: {}", self.text))
            .to_owned()
    }
}

/// Sends bytes and reads until the other side closes.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Seen {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    // one that refuses early may close before it has read all
    let _closed = tcp.write_all(bytes).await;
    read_to_end(tcp).await
}

pub(crate) async fn read_to_end(mut tcp: TcpStream) -> Seen {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut bytes)).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(read.is_ok(), "the connection stays open: {text}");
    Seen { text }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, waited).await;
    assert!(held.is_ok(), "does not come: {what}");
}

/// A provider made by hand: it remembers what it was sent, and answers with events until nobody listens.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) open: Arc<AtomicUsize>,
}

impl Upstream {
    pub(crate) async fn endless() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
        };
        let (heads, connections, open) = (
            upstream.heads.clone(),
            upstream.connections.clone(),
            upstream.open.clone(),
        );
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                connections.fetch_add(1, SeqCst);
                open.fetch_add(1, SeqCst);
                let (heads, open) = (heads.clone(), open.clone());
                tokio::spawn(async move {
                    let _gone = pour(tcp, &heads).await;
                    open.fetch_sub(1, SeqCst);
                });
            }
        });
        upstream
    }
}

/// Reads a request and answers it without end.
async fn pour(mut tcp: TcpStream, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut request = vec![0; 64 << 10];
    let count = tcp.read(&mut request).await?;
    let text = String::from_utf8_lossy(&request[..count]).into_owned();
    heads.lock().unwrap().push(text);
    tcp.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )
    .await?;
    let filler = "x".repeat(4000);
    let event = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small",
        "choices": [{"index": 0, "delta": {"content": filler}, "finish_reason": null}]});
    let event = format!("data: {event}\n\n");
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    loop {
        tcp.write_all(chunk.as_bytes()).await?;
    }
}
