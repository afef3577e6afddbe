//! An HTTP server whose every answer the test writes: a provider, or a collector.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::json;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The model that is asked.
    pub(crate) fn model(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        body["model"].as_str().unwrap().to_owned()
    }
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Upstream {
    /// Answers each request, by its number from 0, with these bytes, or never.
    pub(crate) fn start(
        answer: impl Fn(&Asked, usize) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, seen) = (Arc::new(answer), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                thread::spawn(move || {
                    let Some((stream, request)) = read(stream.unwrap()) else {
                        return;
                    };
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    match answer(&request, number) {
                        Some(bytes) => (&stream).write_all(&bytes).unwrap(),
                        // open until the other side gives up
                        None => drop((&stream).read(&mut [0])),
                    }
                });
            }
        });
        Self { address, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: TcpStream) -> Option<(TcpStream, Asked)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut asked = Asked {
        head,
        body: Vec::new(),
    };
    let length = asked
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    asked.body.resize(length, 0);
    reader.read_exact(&mut asked.body).ok()?;
    Some((reader.into_inner(), asked))
}

/// A response with its length.
pub(crate) fn response(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
         x-request-id: req-of-the-provider\r\nretry-after: 0\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What the answers of this provider use: 7 tokens in, 2 of them cached, 3 out, 1 of them reasoning.
const USAGE: &str = r#"{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,
    "prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}"#;

/// A provider in OpenAI's format: `bad…` are refused, `busy…` are rate limited the first time, `hang…` is never answered,
/// all others are answered, as a stream where that is asked for.
pub(crate) fn provider() -> Upstream {
    let is_first = Mutex::new(true);
    Upstream::start(move |asked, _| {
        let model = asked.model();
        if asked.body.is_empty() || model.starts_with("hang") {
            return None;
        }
        if model.starts_with("bad") {
            let message = String::from_utf8_lossy(&asked.body);
            let error = json!({"message": message, "type": "invalid_request_error"});
            let body = json!({"error": error}).to_string();
            return Some(response("400 Bad Request", "application/json", &body));
        }
        if model.starts_with("busy") && std::mem::take(&mut *is_first.lock().unwrap()) {
            let body = r#"{"error":{"message":"slow down","type":"rate_limit_exceeded"}}"#;
            return Some(response("429 Too Many Requests", "application/json", body));
        }
        let model = json!(model).to_string();
        let body = String::from_utf8_lossy(&asked.body);
        if body.contains(r#""stream":true"#) {
            let chunk = |choices: &str, usage: &str| {
                format!(
                    r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":{model},"choices":[{choices}],"usage":{usage}}}"#
                )
                .replace('\n', "")
                    + "\n\n"
            };
            let text = r#"{"index":0,"delta":{"role":"assistant","content":"ANSWER-CANARY"},"finish_reason":null}"#;
            let end = r#"{"index":0,"delta":{},"finish_reason":"stop"}"#;
            let events = [chunk(text, "null"), chunk(end, "null"), chunk("", USAGE)].concat();
            let events = events + "data: [DONE]\n\n";
            return Some(response("200 OK", "text/event-stream", &events));
        }
        let body = format!(
            r#"{{"id":"c","object":"chat.completion","created":1,"model":{model},"choices":[{{"index":0,
            "message":{{"role":"assistant","content":"ANSWER-CANARY"}},"finish_reason":"stop"}}],"usage":{USAGE}}}"#
        );
        Some(response("200 OK", "application/json", &body))
    })
}
