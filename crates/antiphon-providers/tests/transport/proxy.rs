//! Proxies: tunnels for https, absolute form for http, neither for what is excluded.

use antiphon_core::{Advice, ErrorKind};
use antiphon_providers::transport::{HttpTransport, ProxyConfig, Target, TransportConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::{Identity, Server, ask, read_head, send, serve_http1, text};

/// A proxy that tunnels every CONNECT to one server, and answers other requests with their own heads.
async fn proxy(server: std::net::SocketAddr, status: &'static str) -> Server {
    Server::raw(move |mut client, _| async move {
        loop {
            let head = read_head(&mut client).await;
            if head.is_empty() {
                return;
            }
            if head.starts_with("CONNECT ") {
                let answer = format!("HTTP/1.1 {status}\r\nx-asked: {}\r\n\r\n", head.len());
                client.write_all(answer.as_bytes()).await.unwrap();
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                return;
            }
            client.read_exact(&mut [0; 3]).await.unwrap();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}",
                head.len()
            );
            client.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await
}

fn through(proxy: &Server, login: &str, no_proxy: &'static str) -> ProxyConfig {
    let url = format!("http://{login}{}", proxy.address);
    ProxyConfig::from_lookup(|name| match name {
        "HTTP_PROXY" | "HTTPS_PROXY" => Some(url.clone()),
        "NO_PROXY" => Some(no_proxy.to_owned()),
        _ => None,
    })
    .unwrap()
}

async fn tls_server(identity: &Identity) -> Server {
    let acceptor = identity.acceptor(&["http/1.1"]);
    Server::raw(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            serve_http1(stream, |request| async move {
                text(format!(
                    "{} {}",
                    request.uri(),
                    request.headers().contains_key("proxy-authorization")
                ))
            })
            .await;
        }
    })
    .await
}

#[tokio::test]
async fn http_goes_to_the_proxy_in_absolute_form() {
    let proxy = proxy("127.0.0.1:1".parse().unwrap(), "200 OK").await;
    let config = TransportConfig::default().with_proxy(through(&proxy, "me:pass@", ""));
    let transport = HttpTransport::new(config);
    let target = Target::parse("http://upstream.test:8000/v1/chat").unwrap();
    for _ in 0..3 {
        let head = ask(&transport, &target).await.unwrap().1;
        assert!(
            head.starts_with("POST http://upstream.test:8000/v1/chat HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("host: upstream.test:8000\r\n"), "{head}");
        assert!(
            head.contains("proxy-authorization: Basic bWU6cGFzcw==\r\n"),
            "{head}"
        );
    }
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let identity = Identity::new("upstream.test");
    let server = tls_server(&identity).await;
    let proxy = proxy(server.address, "200 Connection established").await;
    let transport = HttpTransport::new(
        identity
            .trusted()
            .with_proxy(through(&proxy, "me:pass@", "")),
    );
    let target = Target::parse("https://upstream.test/v1").unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&transport, &target).await.unwrap().1, "/v1 false");
    }
    assert_eq!((proxy.connections(), server.connections()), (1, 1));
}

#[tokio::test]
async fn a_proxy_over_tls_carries_tls() {
    let identity = Identity::with("upstream.test", |wanted| {
        wanted.subject_alt_names =
            rcgen::CertificateParams::new(vec!["upstream.test".into(), "localhost".into()])
                .unwrap()
                .subject_alt_names;
    });
    let server = tls_server(&identity).await;
    let (acceptor, goal) = (identity.acceptor(&[]), server.address);
    let proxy = Server::raw(move |client, _| {
        let acceptor = acceptor.clone();
        async move {
            let mut client = acceptor.accept(client).await.unwrap();
            assert!(
                read_head(&mut client)
                    .await
                    .starts_with("CONNECT upstream.test:443 HTTP/1.1\r\n")
            );
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(goal).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
    })
    .await;
    let url = format!("https://localhost:{}", proxy.address.port());
    let rules =
        ProxyConfig::from_lookup(|name| (name == "all_proxy").then(|| url.clone())).unwrap();
    let transport = HttpTransport::new(identity.trusted().with_proxy(rules));
    let target = Target::parse("https://upstream.test/v1").unwrap();
    assert_eq!(ask(&transport, &target).await.unwrap().1, "/v1 false");
}

#[tokio::test]
async fn a_proxy_that_wants_a_login_or_refuses_says_so() {
    let target = Target::parse("https://upstream.test/v1").unwrap();
    for (status, advice, expected) in [
        (
            "407 Proxy Authentication Required",
            Advice::Elsewhere,
            "wants a user name and password (HTTP 407)",
        ),
        (
            "503 Busy",
            Advice::Retry,
            "does not connect to upstream.test:443 (HTTP 503)",
        ),
    ] {
        let proxy = proxy("127.0.0.1:1".parse().unwrap(), status).await;
        let config = TransportConfig::default().with_proxy(through(&proxy, "", ""));
        let error = send(&HttpTransport::new(config), &target)
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.advice()),
            (ErrorKind::Connection, advice)
        );
        assert_eq!(
            error.message(),
            format!("proxy {} {expected}", proxy.address)
        );
    }
}

#[tokio::test]
async fn excluded_hosts_and_loopback_are_reached_directly() {
    let proxy = proxy("127.0.0.1:1".parse().unwrap(), "200 OK").await;
    let server = Server::http(|request| async move { text(request.uri().to_string()) }).await;
    let config = TransportConfig::default().with_proxy(through(&proxy, "", "nonexistent.invalid"));
    let transport = HttpTransport::new(config);
    assert_eq!(ask(&transport, &server.target()).await.unwrap().1, "/");
    let excluded = Target::parse("http://nonexistent.invalid/").unwrap();
    let error = send(&transport, &excluded).await.unwrap_err();
    assert!(
        error.message().starts_with("cannot find the host"),
        "{error}"
    );
    assert_eq!(proxy.connections(), 0);
}
