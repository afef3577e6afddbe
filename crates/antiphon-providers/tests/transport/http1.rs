//! HTTP/1.1: connections are used again when they can be, and only then.

use std::{sync::Arc, time::Duration};

use antiphon_core::{ErrorKind, Phase};
use antiphon_providers::transport::{
    HttpTransport, Target, Transport, TransportConfig, WireRequest,
};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Barrier, mpsc, oneshot},
};

use crate::server::{Server, ask, post, read_head, send, settle, text, transport};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn one_connection_serves_many_requests_in_turn() {
    let server = Server::http(|_| async { text("ok") }).await;
    let transport = transport();
    for _ in 0..50 {
        assert_eq!(
            ask(&transport, &server.target()).await.unwrap(),
            (200, "ok".into())
        );
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn ten_thousand_requests_get_their_own_answers_over_64_connections() {
    let server = Server::http(|request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(Full::new(body))
    })
    .await;
    let (transport, target) = (transport(), server.target());
    let answers = stream::iter(0..10_000)
        .map(|number| {
            let (transport, target) = (&transport, &target);
            async move {
                let sent = format!("{number}:{}", "x".repeat(number % 700));
                let response = transport.send(post(target, sent.clone())).await.unwrap();
                assert_eq!(response.body.collect().await.unwrap(), sent);
            }
        })
        .buffer_unordered(64)
        .count()
        .await;
    assert_eq!(answers, 10_000);
    assert!(
        server.connections() <= 64,
        "{} connections",
        server.connections()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_the_same_time_have_a_connection_each() {
    let together = Arc::new(Barrier::new(200));
    let server = Server::http(move |_| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            text("ok")
        }
    })
    .await;
    let (transport, target) = (transport(), server.target());
    let asking = (0..200).map(|_| ask(&transport, &target));
    for answer in futures_util::future::join_all(asking).await {
        assert_eq!(answer.unwrap().0, 200);
    }
    assert_eq!(server.connections(), 200);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced_unseen() {
    let server = Server::answering(ANSWER).await;
    let transport = transport();
    for _ in 0..5 {
        assert_eq!(ask(&transport, &server.target()).await.unwrap().1, "ok");
        settle().await;
    }
    assert_eq!(server.connections(), 5);
}

#[tokio::test]
async fn a_connection_that_ends_with_its_answer_is_not_used_again() {
    let server =
        Server::answering(&b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it"[..]).await;
    let transport = transport();
    for _ in 0..3 {
        assert_eq!(
            ask(&transport, &server.target()).await.unwrap().1,
            "all of it"
        );
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn an_answer_cut_short_is_a_connection_error() {
    for cut in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let server = Server::answering(cut).await;
        let error = ask(&transport(), &server.target()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        let expected = format!(
            "connection to {} closed before the answer was complete",
            server.address
        );
        assert_eq!(error.message(), expected);
    }
}

#[tokio::test]
async fn a_reset_is_a_connection_error() {
    let server = Server::raw(|stream, _| async move {
        // closing with unread bytes resets the connection
        stream.readable().await.unwrap();
    })
    .await;
    let error = ask(&transport(), &server.target()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(
        error.message().contains(&server.address.to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn silence_within_a_body_is_a_timeout() {
    let server = Server::raw(|mut stream, _| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            .await
            .unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let mut request = post(&server.target(), "");
    request.idle_timeout = Duration::from_millis(50);
    let mut body = transport().send(request).await.unwrap().body;
    assert_eq!(body.next().await.unwrap().unwrap(), "half");
    let error = body.next().await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.phase()),
        (ErrorKind::Timeout, Some(Phase::Idle))
    );
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn a_refused_connection_names_who_refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let target = Target::parse(&format!("http://{address}/v1")).unwrap();
    let error = send(&transport(), &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(error.message(), format!("connection refused by {address}"));
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let target = Target::parse("http://nonexistent.invalid/v1").unwrap();
    let error = send(&transport(), &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(
        error
            .message()
            .starts_with("cannot find the host nonexistent.invalid: "),
        "{error}"
    );
}

#[tokio::test]
async fn localhost_reaches_a_server_on_either_family() {
    let server = Server::http(|_| async { text("ok") }).await;
    let target = Target::parse(&format!("http://LOCALHOST:{}/", server.address.port())).unwrap();
    assert_eq!(ask(&transport(), &target).await.unwrap().1, "ok");
}

#[tokio::test]
async fn a_body_dropped_half_way_closes_its_connection_and_nothing_else() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::raw(move |mut stream, number| {
        let tell = tell.clone();
        async move {
            while read_head(&mut stream).await.contains("POST") {
                stream.read_exact(&mut [0; 3]).await.unwrap();
                let answer = if number == 0 {
                    &b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"[..]
                } else {
                    ANSWER
                };
                stream.write_all(answer).await.unwrap();
            }
            tell.send(number).unwrap();
        }
    })
    .await;
    let transport = transport();
    let mut body = send(&transport, &server.target()).await.unwrap().body;
    assert_eq!(body.next().await.unwrap().unwrap(), "half");
    drop(body);
    assert_eq!(told.recv().await, Some(0));
    for _ in 0..3 {
        assert_eq!(ask(&transport, &server.target()).await.unwrap().1, "ok");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_request_given_up_before_its_answer_closes_its_connection() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::raw(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            tell.send(read_head(&mut stream).await.len()).unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            tell.send(0).unwrap();
        }
    })
    .await;
    let transport = transport();
    let target = server.target();
    tokio::select! {
        _ = send(&transport, &target) => panic!("nobody answers"),
        head = told.recv() => assert!(head.unwrap() > 0),
    }
    assert_eq!(told.recv().await, Some(0));
}

#[tokio::test]
async fn a_body_dropped_at_its_last_event_keeps_the_connection() {
    let server = Server::raw(|mut stream, _| async move {
        while read_head(&mut stream).await.contains("POST") {
            stream.read_exact(&mut [0; 3]).await.unwrap();
            let events =
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n[DONE]\r\n0\r\n\r\n";
            stream.write_all(events).await.unwrap();
        }
    })
    .await;
    let transport = transport();
    for _ in 0..5 {
        let mut body = send(&transport, &server.target()).await.unwrap().body;
        assert_eq!(body.next().await.unwrap().unwrap(), "[DONE]");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn idle_connections_are_let_go() {
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(std::sync::Mutex::new(Some(tell)));
    let server = Server::raw(move |mut stream, _| {
        let tell = Arc::clone(&tell);
        async move {
            read_head(&mut stream).await;
            stream.write_all(ANSWER).await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            tell.lock().unwrap().take().unwrap().send(()).unwrap();
        }
    })
    .await;
    let config = TransportConfig::default().with_idle_limit(Duration::from_millis(20));
    let transport = HttpTransport::new(config);
    assert_eq!(ask(&transport, &server.target()).await.unwrap().1, "ok");
    told.await.unwrap();
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_allowed() {
    let together = Arc::new(Barrier::new(10));
    let server = Server::http(move |_| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            text("ok")
        }
    })
    .await;
    let transport = HttpTransport::new(TransportConfig::default().with_most_idle(4));
    let target = server.target();
    for _ in 0..2 {
        let asking = (0..10).map(|_| ask(&transport, &target));
        for answer in futures_util::future::join_all(asking).await {
            answer.unwrap();
        }
    }
    assert_eq!(server.connections(), 10 + 6);
}

#[tokio::test]
async fn framing_headers_of_the_caller_are_replaced() {
    let server = Server::http(|request| async move {
        let mut lines: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        text(format!(
            "{} {}\n{}",
            request.method(),
            request.uri(),
            lines.join("\n")
        ))
    })
    .await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("authorization", "Bearer k"),
        ("host", "evil.test"),
        ("content-length", "999"),
        ("transfer-encoding", "chunked"),
        ("connection", "close, x"),
        ("accept-encoding", "gzip"),
        ("expect", "100-continue"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let target = server.target().join("v1/chat?x=1").unwrap();
    let request = WireRequest::post(target, headers, "hello");
    let seen = transport()
        .send(request)
        .await
        .unwrap()
        .body
        .collect()
        .await
        .unwrap();
    let expected = format!(
        "POST /v1/chat?x=1\nauthorization: Bearer k\ncontent-length: 5\nhost: {}\nuser-agent: antiphon/{}",
        server.address,
        env!("CARGO_PKG_VERSION"),
    );
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn keys_stay_out_of_debug_output() {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer secret"));
    let target = Target::parse("https://x.test/v1").unwrap();
    let shown = format!("{:?}", WireRequest::post(target, headers, "secret prompt"));
    assert!(
        shown.contains("x.test") && !shown.contains("secret"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let head = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://elsewhere.invalid/\r\ncontent-length: 0\r\n\r\n";
    let server = Server::answering(head).await;
    let response = send(&transport(), &server.target()).await.unwrap();
    assert_eq!(response.status, 307);
    assert_eq!(response.headers["location"], "http://elsewhere.invalid/");
    assert_eq!(server.connections(), 1);
}
