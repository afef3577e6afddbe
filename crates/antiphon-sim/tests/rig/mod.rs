//! A client that hides nothing: it shows the bytes, and how the connection ended.

#![allow(dead_code, reason = "each test binary uses a part of the rig")]

use std::{io, net::SocketAddr};

use antiphon_core::SystemClock;
use antiphon_sim::{RunningSim, SimConfig, SimServer, Simulator};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) const OPENAI: &str = "/v1/chat/completions";
pub(crate) const ANTHROPIC: &str = "/v1/messages";

/// A server on a free port.
pub(crate) async fn serve(config: SimConfig) -> RunningSim {
    config.check().unwrap();
    let simulator = Simulator::new(config, SystemClock::shared());
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    SimServer::bind(address, simulator).await.unwrap().spawn()
}

/// A server whose every attempt meets this fault.
pub(crate) async fn failing(kind: &str) -> RunningSim {
    let fail = vec![format!("{kind}=1").parse().unwrap()];
    serve(SimConfig {
        fail,
        ..SimConfig::default()
    })
    .await
}

/// The same question on either wire.
pub(crate) fn question(path: &str, text: &str, stream: bool) -> Value {
    let mut body = json!({"model": "small", "messages": [{"role": "user", "content": text}], "stream": stream});
    match path {
        ANTHROPIC => body["max_tokens"] = 4096.into(),
        _ if stream => body["stream_options"] = json!({"include_usage": true}),
        _ => {}
    }
    body
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body was as long as its head said, or ended with its last chunk.
    pub(crate) complete: bool,
    /// How the connection ended, where not in order.
    pub(crate) error: Option<io::ErrorKind>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Sends a request and leaves its answer to be read.
pub(crate) async fn send(server: &RunningSim, line: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut tcp = TcpStream::connect(server.address()).await.unwrap();
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: sim\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n"
    );
    // a server that refuses early may close before it has read all
    let _ = tcp.write_all(&[head.as_bytes(), body].concat()).await;
    tcp
}

pub(crate) async fn post(server: &RunningSim, path: &str, body: &Value) -> Seen {
    post_with(server, path, body, "").await
}

/// Posts with extra header lines, each ended by CRLF.
pub(crate) async fn post_with(
    server: &RunningSim,
    path: &str,
    body: &Value,
    headers: &str,
) -> Seen {
    read(
        send(
            server,
            &format!("POST {path}"),
            headers,
            body.to_string().as_bytes(),
        )
        .await,
    )
    .await
}

pub(crate) async fn get(server: &RunningSim, path: &str) -> Seen {
    read(send(server, &format!("GET {path}"), "", b"").await).await
}

/// Reads to the end, whatever kind of end it is.
pub(crate) async fn read(mut tcp: TcpStream) -> Seen {
    let mut bytes = Vec::new();
    let error = tcp
        .read_to_end(&mut bytes)
        .await
        .err()
        .map(|error| error.kind());
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Seen {
            status: 0,
            headers: Vec::new(),
            body: bytes,
            complete: false,
            error,
        };
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let raw = bytes[end + 4..].to_vec();
    let find = |name: &str| headers.iter().find(|(known, _)| known == name);
    let (body, complete) = match find("content-length") {
        Some((_, length)) => {
            let complete = raw.len() == length.parse::<usize>().unwrap();
            (raw, complete)
        }
        None => unchunked(&raw),
    };
    Seen {
        status,
        headers,
        body,
        complete,
        error,
    }
}

fn unchunked(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&raw[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let start = end + 2;
        let Some(chunk) = raw.get(start..start + size) else {
            break;
        };
        body.extend_from_slice(chunk);
        raw = raw.get(start + size + 2..).unwrap_or_default();
    }
    (body, false)
}

/// The events of a stream, by the rules of the HTML standard: name and data.
pub(crate) fn events(body: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(body)
        .unwrap()
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let (mut events, mut name, mut data) = (Vec::new(), String::new(), Vec::new());
    for line in text.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                if !data.is_empty() {
                    events.push((name.clone(), data.join("\n")));
                }
                name.clear();
                data.clear();
            }
            "event" => name = value.to_owned(),
            "data" => data.push(value.to_owned()),
            _ => {}
        }
    }
    events
}

/// What a client makes of a stream.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Folded {
    pub(crate) text: String,
    pub(crate) refusal: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) finish: Option<String>,
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) closed: bool,
    pub(crate) error: bool,
}

pub(crate) fn folded(path: &str, body: &[u8]) -> Folded {
    let mut folded = Folded::default();
    for (name, data) in events(body) {
        if data == "[DONE]" {
            folded.closed = true;
            continue;
        }
        let data: Value = serde_json::from_str(&data).unwrap();
        folded.error |= data.get("error").is_some();
        if path == OPENAI {
            fold_openai(&mut folded, &data)
        } else {
            fold_anthropic(&mut folded, &name, &data)
        }
    }
    folded
}

fn add(list: &mut Vec<String>, index: &Value, piece: &Value) {
    let index = index.as_u64().unwrap() as usize;
    list.resize(list.len().max(index + 1), String::new());
    list[index].push_str(piece.as_str().unwrap_or_default());
}

fn fold_openai(folded: &mut Folded, chunk: &Value) {
    let choice = &chunk["choices"][0];
    let delta = &choice["delta"];
    folded
        .text
        .push_str(delta["content"].as_str().unwrap_or_default());
    folded
        .refusal
        .push_str(delta["refusal"].as_str().unwrap_or_default());
    for call in delta["tool_calls"].as_array().into_iter().flatten() {
        add(
            &mut folded.arguments,
            &call["index"],
            &call["function"]["arguments"],
        );
    }
    folded.finish = choice["finish_reason"]
        .as_str()
        .map(str::to_owned)
        .or(folded.finish.take());
    folded.input = chunk["usage"]["prompt_tokens"].as_u64().or(folded.input);
    folded.output = chunk["usage"]["completion_tokens"]
        .as_u64()
        .or(folded.output);
}

fn fold_anthropic(folded: &mut Folded, name: &str, event: &Value) {
    assert_eq!(event["type"], name);
    let delta = &event["delta"];
    match name {
        "message_start" => folded.input = event["message"]["usage"]["input_tokens"].as_u64(),
        "content_block_delta" if delta["type"] == "text_delta" => {
            folded.text.push_str(delta["text"].as_str().unwrap());
        }
        "content_block_delta" => add(
            &mut folded.arguments,
            &event["index"],
            &delta["partial_json"],
        ),
        "message_delta" => {
            folded.finish = delta["stop_reason"].as_str().map(str::to_owned);
            folded.output = event["usage"]["output_tokens"].as_u64();
        }
        "message_stop" => folded.closed = true,
        _ => {}
    }
}
