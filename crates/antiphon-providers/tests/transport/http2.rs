//! HTTP/2: as many connections as the streams need, none of them in another's way.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use antiphon_core::ErrorKind;
use antiphon_providers::transport::{HttpTransport, Target};
use bytes::Bytes;
use futures_util::{StreamExt, future::join_all};
use http::{HeaderValue, Request, Response};
use http_body_util::{Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::{Barrier, Notify};

use crate::server::{
    Identity, Server, ask, send, serve_http1, serve_http2, settle, text, transport,
};

/// A server of HTTP/2 over TLS, and a transport that trusts it.
async fn http2_server<F, B>(
    streams: u32,
    answer: impl Fn(usize, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> (Server, HttpTransport)
where
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let identity = Identity::new("localhost");
    let acceptor = identity.acceptor(&["h2"]);
    let server = Server::raw(move |stream, number| {
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            serve_http2(stream, streams, move |request| answer(number, request)).await;
        }
    })
    .await;
    let transport = identity.transport();
    (server, transport)
}

/// Answers when this many requests are in flight at the same time, and not before.
fn together(
    requests: usize,
) -> impl Fn(usize, Request<Incoming>) -> futures_util::future::BoxFuture<'static, Response<Full<Bytes>>>
+ Clone {
    let barrier = Arc::new(Barrier::new(requests));
    move |_, _| {
        let barrier = Arc::clone(&barrier);
        Box::pin(async move {
            barrier.wait().await;
            text("ok")
        })
    }
}

async fn all_answer(transport: &HttpTransport, target: &Target, requests: usize) {
    for answer in join_all((0..requests).map(|_| ask(transport, target))).await {
        assert_eq!(answer.unwrap(), (200, "ok".into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_share_ten_connections_of_a_hundred_streams() {
    let (server, transport) = http2_server(100, together(1000)).await;
    all_answer(&transport, &server.tls_target(), 1000).await;
    assert!(
        (10..=12).contains(&server.connections()),
        "{}",
        server.connections()
    );
    // and the next thousand open no more
    let before = server.connections();
    all_answer(&transport, &server.tls_target(), 1000).await;
    assert_eq!(server.connections(), before);
}

#[tokio::test]
async fn the_servers_own_limit_is_read_small_or_large() {
    for (streams, requests, connections) in
        [(1, 8, 8), (7, 70, 10), (200, 400, 2), (100_000, 512, 2)]
    {
        let (server, transport) = http2_server(streams, together(requests)).await;
        all_answer(&transport, &server.tls_target(), requests).await;
        assert_eq!(server.connections(), connections, "limit {streams}");
    }
}

#[tokio::test]
async fn requests_in_turn_share_one_connection() {
    let (server, transport) = http2_server(100, |_, request: Request<Incoming>| async move {
        text(format!(
            "{:?} {} {}",
            request.version(),
            request.uri(),
            request.headers().contains_key("host")
        ))
    })
    .await;
    let target = server.tls_target().join("v1/chat?x=1").unwrap();
    let expected = format!(
        "HTTP/2.0 https://localhost:{}/v1/chat?x=1 false",
        server.address.port()
    );
    for _ in 0..50 {
        assert_eq!(ask(&transport, &target).await.unwrap().1, expected);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_queue_for_one_stream_moves_on_when_bodies_end_or_are_dropped() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let (server, transport) = http2_server(1, move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        async {
            // a first chunk, and then nothing for ever
            let chunk = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"first")));
            Response::new(StreamBody::new(
                futures_util::stream::iter([chunk]).chain(futures_util::stream::pending()),
            ))
        }
    })
    .await;
    for _ in 0..20 {
        let mut body = send(&transport, &server.tls_target()).await.unwrap().body;
        assert_eq!(body.next().await.unwrap().unwrap(), "first");
    }
    assert_eq!(
        (served.load(Ordering::SeqCst), server.connections()),
        (20, 1)
    );
}

#[tokio::test]
async fn bodies_that_nobody_reads_hold_up_nobody_else() {
    let (server, transport) = http2_server(100, |_, _| async { text(vec![b'x'; 4 << 20]) }).await;
    let target = server.tls_target();
    let unread = join_all((0..60).map(|_| send(&transport, &target))).await;
    let (status, body) = ask(&transport, &target).await.unwrap();
    assert_eq!(
        (status, body.len(), server.connections()),
        (200, 4 << 20, 1)
    );
    drop(unread);
}

#[tokio::test]
async fn headers_out_of_bounds_are_a_bad_response_and_harm_nobody_else() {
    let (server, transport) = http2_server(100, |_, request: Request<Incoming>| async move {
        let mut answer = text("ok");
        if request.uri().path() == "/large" {
            let value = HeaderValue::from_str(&"x".repeat(1000)).unwrap();
            for _ in 0..100 {
                answer.headers_mut().append("x-large", value.clone());
            }
        }
        answer
    })
    .await;
    let target = server.tls_target();
    let error = ask(&transport, &target.join("large").unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
    assert_eq!(ask(&transport, &target).await.unwrap().1, "ok");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_goes_away_is_replaced() {
    let identity = Identity::new("localhost");
    let acceptor = identity.acceptor(&["h2"]);
    let leave = Arc::new(Notify::new());
    let leaving = Arc::clone(&leave);
    let server = Server::raw(move |stream, number| {
        let (acceptor, leaving) = (acceptor.clone(), Arc::clone(&leaving));
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let serving = serve_http2(
                stream,
                100,
                move |_| async move { text(number.to_string()) },
            );
            // dropping it closes the connection in the middle of whatever happens
            tokio::select! {
                () = serving => {}
                () = leaving.notified() => {}
            }
        }
    })
    .await;
    let transport = identity.transport();
    for expected in ["0", "1", "2"] {
        for _ in 0..3 {
            assert_eq!(
                ask(&transport, &server.tls_target()).await.unwrap().1,
                expected
            );
        }
        leave.notify_one();
        settle().await;
    }
}

#[tokio::test]
async fn a_connection_that_takes_no_new_streams_finishes_those_it_has() {
    let identity = Identity::new("localhost");
    let acceptor = identity.acceptor(&["h2"]);
    let (arrived, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, may_finish) = (Arc::clone(&arrived), Arc::clone(&finish));
    let server = Server::raw(move |stream, number| {
        let (acceptor, seen, may_finish) =
            (acceptor.clone(), Arc::clone(&seen), Arc::clone(&may_finish));
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let has_request = Arc::new(Notify::new());
            let tell = Arc::clone(&has_request);
            let service = service_fn(move |_| {
                let may_finish = Arc::clone(&may_finish);
                tell.notify_one();
                async move {
                    if number == 0 {
                        may_finish.notified().await;
                    }
                    Ok::<_, Infallible>(text(number.to_string()))
                }
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            let mut serving = std::pin::pin!(serving);
            if number == 0 {
                tokio::select! {
                    _ = serving.as_mut() => return,
                    () = has_request.notified() => serving.as_mut().graceful_shutdown(),
                }
                seen.notify_one();
            }
            let _ = serving.await;
        }
    })
    .await;
    let (transport, target) = (identity.transport(), server.tls_target());
    let old = ask(&transport, &target);
    let new = async {
        arrived.notified().await;
        settle().await;
        let answer = ask(&transport, &target).await;
        finish.notify_one();
        answer
    };
    let (old, new) = tokio::join!(old, new);
    assert_eq!(
        (old.unwrap().1, new.unwrap().1),
        ("0".to_owned(), "1".to_owned())
    );
}

#[tokio::test]
async fn who_asked_first_may_give_up_without_harm_to_the_others() {
    let identity = Identity::new("localhost");
    let acceptor = identity.acceptor(&["h2"]);
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, may_go_on) = (Arc::clone(&arrived), Arc::clone(&go_on));
    let server = Server::raw(move |stream, _| {
        let (acceptor, seen, may_go_on) =
            (acceptor.clone(), Arc::clone(&seen), Arc::clone(&may_go_on));
        async move {
            seen.notify_one();
            may_go_on.notified().await;
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            serve_http2(stream, 100, |_| async { text("ok") }).await;
        }
    })
    .await;
    let (transport, target) = (identity.transport(), server.tls_target());
    let mut first = Box::pin(ask(&transport, &target));
    tokio::select! {
        _ = &mut first => panic!("nobody answers yet"),
        () = arrived.notified() => {}
    }
    let second = async {
        drop(first);
        go_on.notify_one();
        ask(&transport, &target).await
    };
    assert_eq!(second.await.unwrap().1, "ok");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn requests_in_flight_on_a_lost_connection_fail_and_new_ones_do_not() {
    let arrived = Arc::new(Notify::new());
    let identity = Identity::new("localhost");
    let acceptor = identity.acceptor(&["h2"]);
    let seen = Arc::clone(&arrived);
    let server = Server::raw(move |stream, number| {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let lost = Arc::new(Notify::new());
            let lose = Arc::clone(&lost);
            let serving = serve_http2(stream, 100, move |_| {
                lose.notify_one();
                async move {
                    if number == 0 {
                        std::future::pending::<()>().await;
                    }
                    text("ok")
                }
            });
            let losing = async {
                lost.notified().await;
                if number > 0 {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = serving => {}
                () = losing => seen.notify_one(),
            }
        }
    })
    .await;
    let transport = identity.transport();
    let error = ask(&transport, &server.tls_target()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.message().contains("localhost"), "{error}");
    arrived.notified().await;
    assert_eq!(ask(&transport, &server.tls_target()).await.unwrap().1, "ok");
}

#[tokio::test]
async fn everybody_who_waits_learns_that_nobody_answers() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let target = Target::parse(&format!("https://127.0.0.1:{port}/")).unwrap();
    let transport = transport();
    for answer in join_all((0..100).map(|_| send(&transport, &target))).await {
        assert_eq!(
            answer.unwrap_err().message(),
            format!("connection refused by 127.0.0.1:{port}")
        );
    }
}

#[tokio::test]
async fn a_server_that_speaks_http1_over_tls_gives_each_its_own_connection() {
    let identity = Identity::new("localhost");
    let acceptor = identity.acceptor(&["http/1.1"]);
    let barrier = Arc::new(Barrier::new(20));
    let server = Server::raw(move |stream, _| {
        let (acceptor, barrier) = (acceptor.clone(), Arc::clone(&barrier));
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            serve_http1(stream, |_| async {
                barrier.wait().await;
                text("ok")
            })
            .await;
        }
    })
    .await;
    let transport = identity.transport();
    for _ in 0..2 {
        all_answer(&transport, &server.tls_target(), 20).await;
    }
    assert_eq!(server.connections(), 20);
}
