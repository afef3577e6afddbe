//! TLS: who is trusted, and what is said about those who are not.

use std::time::Duration;

use antiphon_core::{Advice, Error, ErrorKind, Phase};
use antiphon_providers::transport::{Target, Transport, TransportConfig};

use crate::server::{Identity, Server, ask, post, send, serve_http1, text, transport};

async fn tls_server(identity: &Identity) -> Server {
    let acceptor = identity.acceptor(&["http/1.1"]);
    Server::raw(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            serve_http1(stream, |_| async { text("secret garden") }).await;
        }
    })
    .await
}

/// What the failure says; it is never retried silently.
fn distrusted(error: Error) -> String {
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(error.advice(), Advice::Elsewhere);
    error.message().to_owned()
}

#[tokio::test]
async fn a_certificate_from_a_root_file_is_trusted() {
    let identity = Identity::new("localhost");
    let server = tls_server(&identity).await;
    let transport = identity.transport();
    for _ in 0..3 {
        assert_eq!(
            ask(&transport, &server.tls_target()).await.unwrap().1,
            "secret garden"
        );
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_self_signed_certificate_is_not() {
    let identity = Identity::new("localhost");
    let server = tls_server(&identity).await;
    let error = send(&transport(), &server.tls_target()).await.unwrap_err();
    assert_eq!(
        distrusted(error),
        "certificate of host localhost is signed by an unknown authority (SSL_CERT_FILE can name one to trust)"
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_expired_certificate_says_so() {
    let identity = Identity::with("localhost", |wanted| {
        wanted.not_before = rcgen::date_time_ymd(2020, 1, 1);
        wanted.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let server = tls_server(&identity).await;
    let error = send(&identity.transport(), &server.tls_target())
        .await
        .unwrap_err();
    assert_eq!(
        distrusted(error),
        "certificate of host localhost has expired"
    );
}

#[tokio::test]
async fn a_certificate_of_the_future_hints_at_the_clock() {
    let identity = Identity::with("localhost", |wanted| {
        wanted.not_before = rcgen::date_time_ymd(2100, 1, 1);
        wanted.not_after = rcgen::date_time_ymd(2101, 1, 1);
    });
    let server = tls_server(&identity).await;
    let error = send(&identity.transport(), &server.tls_target())
        .await
        .unwrap_err();
    assert!(distrusted(error).contains("clock"));
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let identity = Identity::new("elsewhere.test");
    let server = tls_server(&identity).await;
    let error = send(&identity.transport(), &server.tls_target())
        .await
        .unwrap_err();
    assert_eq!(
        distrusted(error),
        "certificate of host localhost is for another host"
    );
}

#[tokio::test]
async fn a_plain_server_behind_https_is_recognised() {
    let server = Server::http(|_| async { text("plain") }).await;
    let target = Target::parse(&format!("https://{}/", server.address)).unwrap();
    let error = send(&transport(), &target).await.unwrap_err();
    assert_eq!(
        distrusted(error),
        "127.0.0.1 does not speak TLS: is it an http:// address?"
    );
}

#[tokio::test]
async fn a_connection_lost_in_the_handshake_may_be_retried() {
    let server = Server::raw(|stream, _| async move { drop(stream) }).await;
    let error = send(&transport(), &server.tls_target()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.advice()),
        (ErrorKind::Connection, Advice::Retry),
        "{error}"
    );
}

#[tokio::test]
async fn the_connect_timeout_covers_the_handshake() {
    let server = Server::raw(|stream, _| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let mut request = post(&server.tls_target(), "");
    request.connect_timeout = Duration::from_millis(50);
    let error = transport().send(request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.phase()),
        (ErrorKind::Timeout, Some(Phase::Connect))
    );
}

#[test]
fn a_root_file_must_hold_a_certificate() {
    let missing = std::path::Path::new("/nonexistent/root.pem");
    let error = TransportConfig::default()
        .with_root_file(missing)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read certificates from /nonexistent/root.pem"
    );
    let not_pem = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let error = TransportConfig::default()
        .with_root_file(&not_pem)
        .unwrap_err();
    assert!(
        error.to_string().ends_with("holds no certificate"),
        "{error}"
    );
}
