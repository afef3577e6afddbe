//! TLS: what is offered, what is refused, and a certificate that is read again.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use antiphon_gateway::{ServerConfig, Tls};
use antiphon_sim::SimConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::rig::{gateway, read_to_end, serve, simulated};

/// A certificate and its key in files of a folder.
struct Made {
    certificate: PathBuf,
    key: PathBuf,
    der: CertificateDer<'static>,
}

fn made(folder: &Path, name: &str, until_year: i32) -> Made {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(until_year, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let made = Made {
        certificate: folder.join(format!("{name}.crt")),
        key: folder.join(format!("{name}.key")),
        der: certificate.der().clone(),
    };
    fs::write(&made.certificate, certificate.pem()).unwrap();
    fs::write(&made.key, key.serialize_pem()).unwrap();
    permit(&made.key, 0o600);
    made
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_that_cannot_be_used_are_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (
        made(folder.path(), "one", 2100),
        made(folder.path(), "other", 2100),
    );
    let refused =
        |certificate: &Path, key: &Path| Tls::load(certificate, key).unwrap_err().to_string();
    assert!(Tls::load(&one.certificate, &one.key).unwrap().1.is_none());
    let fit = refused(&one.certificate, &other.key);
    assert!(
        fit.contains("other.key is not that of the certificate in"),
        "{fit}"
    );
    let missing = refused(&folder.path().join("no.crt"), &one.key);
    assert!(
        missing.starts_with("cannot read ") && missing.contains("no.crt"),
        "{missing}"
    );
    let missing = refused(&one.certificate, &folder.path().join("no.key"));
    assert!(
        missing.starts_with("cannot read ") && missing.contains("no.key"),
        "{missing}"
    );
    let swapped = refused(&one.key, &one.key);
    assert!(swapped.starts_with("no certificate is in "), "{swapped}");
    permit(&one.certificate, 0o600);
    let swapped = refused(&one.certificate, &one.certificate);
    assert!(swapped.starts_with("no private key is in "), "{swapped}");
    permit(&one.key, 0o644);
    let open = refused(&one.certificate, &one.key);
    assert!(
        open.contains(&format!("run `chmod o= {}`", one.key.display())),
        "{open}"
    );
    permit(&one.key, 0o640);
    assert!(
        Tls::load(&one.certificate, &one.key).is_ok(),
        "a group may be meant"
    );
    let old = made(folder.path(), "old", 2001);
    let (_, warning) = Tls::load(&old.certificate, &old.key).unwrap();
    let warning = warning.unwrap();
    assert!(
        warning.ends_with("old.crt has expired: callers will refuse it"),
        "{warning}"
    );
}

type Secured = tokio_rustls::client::TlsStream<TcpStream>;

async fn connect(
    address: std::net::SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> std::io::Result<Secured> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![alpn.to_vec()];
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(client))
        .connect(name, tcp)
        .await
}

#[tokio::test]
async fn both_versions_of_http_are_served_and_a_new_certificate_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let one = made(folder.path(), "one", 2100);
    let (tls, _) = Tls::load(&one.certificate, &one.key).unwrap();
    let tls = Arc::new(tls);
    let config = ServerConfig {
        tls: Some(tls.clone()),
        handshake_timeout: Duration::from_millis(200),
        ..ServerConfig::default()
    };
    let sim = simulated(SimConfig::default()).await;
    let (address, _stop, _served) = serve(gateway(sim.address(), Vec::new()), config).await;
    let silent = TcpStream::connect(address).await.unwrap();
    let mut secured = connect(address, &one.der, b"http/1.1").await.unwrap();
    secured
        .write_all(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    secured.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    let status = over_http_2(connect(address, &one.der, b"h2").await.unwrap(), 10).await;
    assert_eq!(status, 200);
    let status = over_http_2(connect(address, &one.der, b"h2").await.unwrap(), 101).await;
    assert_eq!(status, 431);
    // plain HTTP is no handshake
    let plain = crate::rig::exchange(address, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(plain.status(), 0);
    assert_eq!(
        read_to_end(silent).await.text,
        "",
        "a handshake that does not come is not waited for"
    );

    let other = made(folder.path(), "other", 2100);
    fs::write(&one.certificate, "nothing").unwrap();
    assert!(tls.reload().is_err());
    assert!(
        connect(address, &one.der, b"h2").await.is_ok(),
        "the one before stays"
    );
    fs::copy(&other.certificate, &one.certificate).unwrap();
    fs::copy(&other.key, &one.key).unwrap();
    tls.reload().unwrap();
    assert!(connect(address, &other.der, b"h2").await.is_ok());
    assert!(connect(address, &one.der, b"h2").await.is_err());
}

async fn over_http_2(secured: Secured, headers: usize) -> u16 {
    assert_eq!(secured.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = hyper_util::rt::TokioIo::new(secured);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::get("https://localhost/v1/models");
    for index in 0..headers {
        request = request.header("x-many", index);
    }
    let request = request
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    sender
        .send_request(request)
        .await
        .unwrap()
        .status()
        .as_u16()
}
