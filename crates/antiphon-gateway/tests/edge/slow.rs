//! Callers that are slow, or silent, or never read. The limits are tiny, so that the tests are not slow, too.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use antiphon_gateway::{BodyLimits, ServerConfig};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::rig::{
    ANTHROPIC, OPENAI, Rig, Upstream, exchange, gateway, question, read_to_end, request, serve,
    streamed, until,
};

const SOON: Duration = Duration::from_millis(200);

fn impatient() -> ServerConfig {
    ServerConfig {
        header_timeout: SOON,
        idle_timeout: SOON,
        write_timeout: SOON,
        body: BodyLimits {
            grace: SOON,
            ..BodyLimits::default()
        },
        ..ServerConfig::default()
    }
}

/// Sends a byte now and then until nobody takes it.
async fn drip(tcp: TcpStream, bytes: Vec<u8>) -> crate::rig::Seen {
    let (reader, mut writer) = tcp.into_split();
    let dripping = tokio::spawn(async move {
        for byte in bytes {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        writer
    });
    let mut reader = reader;
    let mut seen = Vec::new();
    let _reset = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut seen).await;
    dripping.abort();
    crate::rig::Seen {
        text: String::from_utf8(seen).unwrap(),
    }
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off_and_others_are_served() {
    let rig = Rig::new(impatient()).await;
    for path in [OPENAI, ANTHROPIC] {
        let tcp = TcpStream::connect(rig.address).await.unwrap();
        let bytes = request(path, "", question("small").to_string().as_bytes());
        let dripping = drip(tcp, bytes);
        let good = async {
            let mut served = 0;
            for _ in 0..10 {
                served += u32::from(rig.post(OPENAI, &question("small")).await.status() == 200);
            }
            served
        };
        let (seen, served) = tokio::join!(dripping, good);
        assert_eq!(seen.status(), 408, "{}", seen.text);
        assert!(
            seen.message()
                .ends_with("headers that did not come in time")
        );
        assert_eq!(served, 10);
    }
    assert_eq!(rig.asked(), 20);
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_cut_off() {
    let rig = Rig::new(impatient()).await;
    for path in [OPENAI, ANTHROPIC] {
        let body = question("small").to_string();
        let bytes = request(path, "", body.as_bytes());
        let (head, body) = bytes.split_at(bytes.len() - body.len());
        let mut tcp = TcpStream::connect(rig.address).await.unwrap();
        tcp.write_all(head).await.unwrap();
        let seen = drip(tcp, body.to_vec()).await;
        assert_eq!(seen.status(), 408, "{}", seen.text);
        assert!(
            seen.message().starts_with("the body came too slowly"),
            "{}",
            seen.text
        );
    }
    assert_eq!(rig.asked(), 0);
}

#[tokio::test]
async fn connections_that_say_nothing_are_closed() {
    let rig = Rig::new(impatient()).await;
    let silent = TcpStream::connect(rig.address).await.unwrap();
    let mut idle = TcpStream::connect(rig.address).await.unwrap();
    idle.write_all(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let frames = TcpStream::connect(rig.address).await.unwrap();
    let (reader, mut writer) = frames.into_split();
    let pinging = tokio::spawn(async move {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let mut sent = writer.write_all(preface).await;
        // signs of life, and no request
        while sent.is_ok() {
            tokio::time::sleep(SOON / 10).await;
            sent = writer.write_all(b"\0\0\x08\x06\0\0\0\0\0ABCDEFGH").await;
        }
    });
    assert_eq!(read_to_end(silent).await.text, "");
    assert_eq!(read_to_end(idle).await.status(), 200);
    let mut reader = reader;
    let mut seen = Vec::new();
    let _reset = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut seen).await;
    pinging.await.unwrap();
}

#[tokio::test]
async fn an_answer_may_take_longer_than_any_of_these_limits() {
    let rig = Rig::with(
        impatient(),
        antiphon_sim::SimConfig {
            latency: SOON * 3,
            ..antiphon_sim::SimConfig::default()
        },
    )
    .await;
    for body in [question("small"), streamed("small")] {
        assert_eq!(rig.post(OPENAI, &body).await.status(), 200);
    }
}

#[tokio::test]
async fn a_client_that_never_reads_is_dropped_and_its_call_with_it() {
    let upstream = Upstream::endless().await;
    let gateway = gateway(upstream.address, Vec::new());
    let (address, _stop, _served) = serve(gateway.clone(), impatient()).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut tcp = socket.connect(address).await.unwrap();
    tcp.write_all(&request(
        OPENAI,
        "",
        streamed("small").to_string().as_bytes(),
    ))
    .await
    .unwrap();
    until("the call", || upstream.open.load(SeqCst) == 1).await;
    let models = b"GET /v1/models HTTP/1.0\r\n\r\n";
    assert_eq!(exchange(address, models).await.status(), 200);
    until("the end of the call", || upstream.open.load(SeqCst) == 0).await;
    until("its end here", || gateway.calls_under_way() == 0).await;
    drop(tcp);
}

#[tokio::test]
async fn a_stream_of_http_2_that_is_never_read_is_dropped_and_its_neighbours_go_on() {
    let upstream = Upstream::endless().await;
    let gateway = gateway(upstream.address, Vec::new());
    let (address, _stop, _served) = serve(gateway.clone(), impatient()).await;
    let tcp = TcpStream::connect(address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    // no more than this is read of an answer whose body nobody asks for
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(executor)
        .initial_stream_window_size(1024)
        .handshake(hyper_util::rt::TokioIo::new(tcp))
        .await
        .unwrap();
    tokio::spawn(connection);
    let body = http_body_util::Full::new(bytes::Bytes::from(streamed("small").to_string()));
    let post = http::Request::post(format!("http://{address}{OPENAI}")).body(body.clone());
    let unread = sender.send_request(post.unwrap()).await.unwrap();
    assert_eq!(
        (unread.status().as_u16(), upstream.open.load(SeqCst)),
        (200, 1)
    );
    until("the end of the call", || upstream.open.load(SeqCst) == 0).await;
    until("its end here", || gateway.calls_under_way() == 0).await;
    let get = http::Request::get(format!("http://{address}/v1/models"));
    let get = get.body(http_body_util::Full::default()).unwrap();
    assert_eq!(sender.send_request(get).await.unwrap().status(), 200);
    drop(unread);
}
