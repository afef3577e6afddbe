//! TLS: rustls with aws-lc-rs, told explicitly, so that no other crate of the program can change the default under us.

use std::{io, sync::Arc};

use antiphon_core::{Error, ErrorKind};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::OnceCell,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::failure;

/// Makes TLS connections. Certificates are read at the first one: a run against a local server never waits for them.
#[derive(Debug)]
pub(super) struct Tls {
    extra_roots: Vec<CertificateDer<'static>>,
    configs: OnceCell<Configs>,
}

#[derive(Debug)]
struct Configs {
    /// Offers HTTP/2 and HTTP/1.1.
    server: Arc<ClientConfig>,
    /// Offers nothing: a proxy is asked in HTTP/1.1.
    proxy: Arc<ClientConfig>,
}

/// Whom a TLS connection is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Server,
    Proxy,
}

impl Tls {
    pub(super) fn new(extra_roots: Vec<CertificateDer<'static>>) -> Self {
        Self {
            extra_roots,
            configs: OnceCell::new(),
        }
    }

    /// Shakes hands over a connected stream.
    pub(super) async fn handshake<S>(
        &self,
        stream: S,
        host: &str,
        peer: Peer,
    ) -> Result<TlsStream<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let configs = self.configs.get_or_try_init(|| self.load()).await?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| failure::tls(io::Error::other(error), host))?;
        let config = match peer {
            Peer::Server => &configs.server,
            Peer::Proxy => &configs.proxy,
        };
        TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await
            .map_err(|error| failure::tls(error, host))
    }

    /// Reads the platform's certificates (`SSL_CERT_FILE` wins there) on a thread that may block.
    async fn load(&self) -> Result<Configs, Error> {
        let extra_roots = self.extra_roots.clone();
        tokio::task::spawn_blocking(move || configs(extra_roots))
            .await
            .map_err(|_| Error::stopped("stopped while reading certificates"))?
    }
}

fn configs(extra_roots: Vec<CertificateDer<'static>>) -> Result<Configs, Error> {
    let mut roots = RootCertStore::empty();
    let platform = rustls_native_certs::load_native_certs();
    if let (true, Some(error)) = (
        platform.certs.is_empty(),
        platform.errors.into_iter().next(),
    ) {
        // the file was named on purpose: other authorities instead of it would be a surprise
        let message = format!("no trusted certificates can be read: {error}");
        return Err(Error::new(ErrorKind::Connection, message)
            .with_should_retry(Some(false))
            .stopping_the_run());
    }
    roots.add_parsable_certificates(platform.certs);
    if roots.is_empty() {
        // a container from scratch has no certificates of its own
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.add_parsable_certificates(extra_roots);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failure::tls(io::Error::other(error), "this machine"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let proxy = Arc::new(server.clone());
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Configs {
        server: Arc::new(server),
        proxy,
    })
}

/// Whether the server chose HTTP/2.
pub(super) fn chose_http2<S>(stream: &TlsStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}
