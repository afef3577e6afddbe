//! A server that answers every request at once with the same chat completion: what is measured against it is the client.
//!
//! `instant PORT`: HTTP/1.1 on loopback, one thread, no more parsing than the length of the body.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const BODY: &str = r##"{"id":"chatcmpl-1","object":"chat.completion","created":1795000000,"model":"gpt-x-2026-01-01","choices":[{"index":0,"message":{"role":"assistant","content":"She sells 9 eggs a day at $2 each, after using 3 for breakfast and 4 for muffins out of the 16 that her ducks lay. That makes 9 * 2 = 18 dollars every day at the farmers' market.\n#### 18","refusal":null},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":112,"completion_tokens":54,"total_tokens":166,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}"##;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port: u16 = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .expect("instant PORT");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("port");
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let response: &'static str = response.leak();
    let stream: &'static str = stream().leak();
    loop {
        if let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, [response.as_bytes(), stream.as_bytes()]));
        }
    }
}

/// A stream whose pieces all come at once.
fn stream() -> String {
    let chunk = |delta: &str, finish: &str| {
        format!("data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"gpt-x\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}],\"usage\":null}}\n\n")
    };
    let mut body = chunk(r#"{"role":"assistant","content":""}"#, "null");
    body.push_str(&chunk(r#"{"content":"She sells 9 eggs a day."}"#, "null"));
    body.push_str(&chunk("{}", "\"stop\""));
    body.push_str("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"gpt-x\",\"choices\":[],\"usage\":{\"prompt_tokens\":112,\"completion_tokens\":7,\"total_tokens\":119}}\n\ndata: [DONE]\n\n");
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn serve(mut stream: TcpStream, [whole, streamed]: [&'static [u8]; 2]) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(64 << 10);
    loop {
        while let Some(end) = request_end(&buffer) {
            let wants_stream = contains(&buffer[..end], b"\"stream\":true");
            let response = if wants_stream { streamed } else { whole };
            buffer.drain(..end);
            if stream.write_all(response).await.is_err() {
                return;
            }
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn contains(buffer: &[u8], needle: &[u8]) -> bool {
    buffer.windows(needle.len()).any(|window| window == needle)
}

/// The end of the first request, once it is all here.
fn request_end(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let length: usize = text
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        })
        .unwrap_or(0);
    (buffer.len() >= head + length).then_some(head + length)
}
