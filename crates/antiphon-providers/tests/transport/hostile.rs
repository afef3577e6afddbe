//! Answers that must not harm: too large, not HTTP, compressed.

use antiphon_core::ErrorKind;
use antiphon_providers::transport::{HttpTransport, TransportConfig};

use crate::server::{Server, ask, transport};

/// The error for an answer of these bytes; nothing of the connection may be used again.
async fn refused(bytes: impl Into<bytes::Bytes>) -> String {
    let server = Server::answering(bytes).await;
    let transport = HttpTransport::new(TransportConfig::default().with_body_limit(1000));
    let error = ask(&transport, &server.target()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
    error.message().to_owned()
}

#[tokio::test]
async fn what_is_not_http() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "\0\0\0\0\0\0",
        "HTTP/1.1 abc\r\n\r\n",
        "{\"error\": 1}\r\n\r\n",
    ] {
        let message = refused(garbage).await;
        assert!(
            message.contains("answered with something that is not HTTP"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_million_headers() {
    let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(1_000_000));
    assert!(
        refused(head)
            .await
            .contains("response headers of 127.0.0.1")
    );
}

#[tokio::test]
async fn one_header_of_a_megabyte() {
    let head = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(1 << 20));
    assert!(refused(head).await.contains("are too large"));
}

#[tokio::test]
async fn a_body_that_announces_too_much() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n";
    assert_eq!(
        refused(head).await,
        "the response body is larger than 1000 bytes"
    );
}

#[tokio::test]
async fn a_body_that_grows_too_large_without_saying() {
    let chunk = format!("80\r\n{}\r\n", "x".repeat(0x80));
    let answer = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(10)
    );
    assert_eq!(
        refused(answer).await,
        "the response body is larger than 1000 bytes"
    );
}

#[tokio::test]
async fn malformed_chunks_and_lengths() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n";
    assert!(refused(chunked).await.contains("malformed"));
    let lengths = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    assert!(refused(lengths).await.contains("not HTTP"));
}

#[tokio::test]
async fn compression_that_nobody_asked_for() {
    for encoding in ["gzip", "br", "identity, gzip"] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 2\r\n\r\nxx"
        );
        assert!(refused(answer).await.contains("compressed"));
    }
    let server = Server::answering(
        "HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    assert_eq!(ask(&transport(), &server.target()).await.unwrap().1, "ok");
}

#[tokio::test]
async fn bytes_after_the_answer_do_not_become_the_next_answer() {
    let two = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".repeat(2);
    let server = Server::answering(two).await;
    let transport = transport();
    assert_eq!(ask(&transport, &server.target()).await.unwrap().1, "ok");
    assert_eq!(ask(&transport, &server.target()).await.unwrap().1, "ok");
    assert_eq!(server.connections(), 2);
}
