//! Requests that two servers in a row could read in two ways: refused with 400, and nothing reaches a provider.

use antiphon_gateway::ServerConfig;

use crate::rig::{ANTHROPIC, OPENAI, Rig, exchange, question, request};

/// Heads of requests; `LEN` stands for the length of the body behind them, which is a fine one.
const CASES: [(&str, &str); 44] = [
    (
        "length before chunks",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length: LEN\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "chunks before length",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "equal lengths",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length: LEN\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "different lengths",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length: LEN\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "lengths in a list",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length: LEN, LEN\r\n\r\n",
    ),
    (
        "length with a sign",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length: +LEN\r\n\r\n",
    ),
    (
        "negative length",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ),
    (
        "hexadecimal length",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x40\r\n\r\n",
    ),
    (
        "empty length",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length:\r\n\r\n",
    ),
    (
        "length beyond numbers",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ),
    (
        "length with a space inside",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1 2\r\n\r\n",
    ),
    (
        "coding beside chunks",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    ),
    (
        "chunks are not last",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
    ),
    (
        "chunks twice",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "chunks and identity",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
    ),
    (
        "misspelt chunks",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n",
    ),
    (
        "quoted chunks",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
    ),
    (
        "chunks behind a vertical tab",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
    ),
    (
        "empty coding",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\r\n\r\n",
    ),
    (
        "space before the colon",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n",
    ),
    (
        "tab before the colon",
        "POST P HTTP/1.1\r\nHost: localhost\r\nContent-Length\t: LEN\r\n\r\n",
    ),
    (
        "space before a name",
        "POST P HTTP/1.1\r\nHost: localhost\r\n Content-Length: LEN\r\n\r\n",
    ),
    (
        "folded header",
        "POST P HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "folded coding",
        "POST P HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
    ),
    (
        "chunks in HTTP/1.0",
        "POST P HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "bare line feeds",
        "POST P HTTP/1.1\nHost: localhost\nContent-Length: LEN\n\n",
    ),
    (
        "one bare line feed",
        "POST P HTTP/1.1\r\nHost: localhost\r\nX: a\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "bare return in a value",
        "POST P HTTP/1.1\r\nHost: localhost\r\nX: a\rTransfer-Encoding: chunked\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "bare return in a name",
        "POST P HTTP/1.1\r\nHost: localhost\r\nX\rY: a\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "NUL in a value",
        "POST P HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "NUL in a name",
        "POST P HTTP/1.1\r\nHost: localhost\r\nX\0: a\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "header without a name",
        "POST P HTTP/1.1\r\nHost: localhost\r\n: a\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "header without a colon",
        "POST P HTTP/1.1\r\nHost: localhost\r\nX\r\nContent-Length: LEN\r\n\r\n",
    ),
    ("no host", "POST P HTTP/1.1\r\nContent-Length: LEN\r\n\r\n"),
    (
        "two hosts",
        "POST P HTTP/1.1\r\nHost: localhost\r\nHost: h\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "host with user",
        "POST P HTTP/1.1\r\nHost: a@b\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "host with path",
        "POST P HTTP/1.1\r\nHost: a/b\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "absolute target",
        "POST http://127.0.0.1P HTTP/1.1\r\nHost: localhost\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "target without a slash",
        "POST v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "tunnel",
        "CONNECT g:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    (
        "two spaces",
        "POST  P HTTP/1.1\r\nHost: localhost\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "tabs in the first line",
        "POST\tP\tHTTP/1.1\r\nHost: localhost\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "other version",
        "POST P HTTP/1.2\r\nHost: localhost\r\nContent-Length: LEN\r\n\r\n",
    ),
    (
        "no version",
        "POST P\r\nHost: localhost\r\nContent-Length: LEN\r\n\r\n",
    ),
];

#[tokio::test]
async fn requests_with_two_readings_get_400_and_reach_nobody() {
    let rig = Rig::new(ServerConfig::default()).await;
    for path in [OPENAI, ANTHROPIC] {
        let model = if path == OPENAI { "small" } else { "claude" };
        let body = question(model).to_string();
        let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let behind = request(path, "", body.as_bytes());
        for (name, head) in CASES {
            let length = body.len().to_string();
            let head = head.replace(" P", &format!(" {path}"));
            let head = head.replace("127.0.0.1P", &format!("127.0.0.1{path}"));
            let head = head
                .replace("\tP", &format!("\t{path}"))
                .replace("LEN", &length);
            let is_chunked = head.to_lowercase().contains("chunked");
            let body = if is_chunked { &chunked } else { &body };
            // what a server that reads it otherwise would take for the next request
            let bytes = [head.as_bytes(), body.as_bytes(), &behind].concat();
            let seen = exchange(rig.address, &bytes).await;
            assert_eq!(seen.status(), 400, "{name}: {}", seen.text);
            assert_eq!(
                seen.text.matches("HTTP/1.1 ").count(),
                1,
                "{name}: {}",
                seen.text
            );
            assert_eq!(seen.header("connection"), Some("close"), "{name}");
            assert!(
                seen.message()
                    .starts_with("the request was refused because it has "),
                "{name}"
            );
            assert_eq!(rig.asked(), 0, "{name} has reached the provider");
        }
    }
}

#[tokio::test]
async fn bodies_with_malformed_chunks_reach_nobody() {
    let rig = Rig::new(ServerConfig::default()).await;
    let body = question("small").to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let size = format!("{:x}", body.len());
    let cases = [
        format!("{size}\n{body}\r\n0\r\n\r\n"),
        format!("{size}\r\n{body}0\r\n\r\n"),
        format!("{size}\r\n{body}\r\n0\r\nContent-Length: 5\r\n\r\n"),
        format!("0x{size}\r\n{body}\r\n0\r\n\r\n"),
        format!("{size};a\nb\r\n{body}\r\n0\r\n\r\n"),
        format!("-{size}\r\n{body}\r\n0\r\n\r\n"),
        format!("ffffffffffffffff{size}\r\n{body}\r\n0\r\n\r\n"),
    ];
    for chunks in cases {
        let seen = exchange(rig.address, format!("{head}{chunks}").as_bytes()).await;
        assert!(matches!(seen.status(), 400 | 0), "{chunks}: {}", seen.text);
        assert_eq!(rig.asked(), 0, "{chunks}");
    }
}

#[tokio::test]
async fn requests_in_order_are_answered_in_order() {
    let rig = Rig::new(ServerConfig::default()).await;
    let body = question("small").to_string();
    let length = body.len();
    let first = format!(
        "POST {OPENAI} HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let second = format!(
        "POST {OPENAI} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &body[..5],
        length - 5,
        &body[5..]
    );
    let last = "GET /v1/models HTTP/1.0\r\n\r\n";
    let seen = exchange(rig.address, format!("{first}{second}{last}").as_bytes()).await;
    assert_eq!(seen.text.matches(" 200 OK").count(), 3, "{}", seen.text);
    assert_eq!(rig.asked(), 2);
}
