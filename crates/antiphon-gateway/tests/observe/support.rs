//! A gateway on loopback, and a caller of it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use antiphon::Session;
use antiphon_gateway::{Gateway, Running, Server, ServerConfig, observe::Observer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::upstream::Upstream;

/// What must never be told: a prompt, and a key.
pub(crate) const PROMPT: &str = "PROMPT-CANARY";
pub(crate) const KEY: &str = "sk-KEY-CANARY";

pub(crate) struct Served {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A session whose models are answered by this provider; it has prices for those of OpenAI.
pub(crate) fn session(provider: &Upstream) -> Session {
    let url = format!("http://{}/v1", provider.address);
    let toml = format!(
        r#"
        [providers.openai]
        base_url = "{url}"
        [providers.up]
        dialect = "openai"
        base_url = "{url}"
        [models.bad]
        use = "up/bad"
        [models.hang]
        use = "up/hang"
        "#
    );
    Session::from_toml(&toml).unwrap()
}

pub(crate) async fn serve(provider: &Upstream, observers: Vec<Arc<dyn Observer>>) -> Served {
    let gateway = Gateway::new(Running::open_to_all(session(provider)), observers);
    let free = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(free, ServerConfig::default()).await.unwrap();
    let address = server.address();
    tokio::spawn(server.run(gateway.clone(), std::future::pending()));
    Served { gateway, address }
}

impl Served {
    pub(crate) async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {KEY}\r\n\
             x-api-key: {KEY}\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = self.begin(method, path, headers, body).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// A call in OpenAI's words.
    pub(crate) async fn chat(&self, model: &str, headers: &str, stream: bool) -> Answer {
        let body = chat(model, stream);
        self.ask("POST", "/v1/chat/completions", headers, &body)
            .await
    }
}

pub(crate) fn chat(model: &str, stream: bool) -> String {
    let messages = serde_json::json!([{"role": "user", "content": PROMPT}]);
    serde_json::json!({"model": model, "messages": messages, "stream": stream}).to_string()
}

/// Looks again until it is as it should be.
pub(crate) async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to be within ten seconds");
}
