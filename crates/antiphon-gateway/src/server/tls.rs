//! TLS from a certificate and a key in files, which may be read again.

use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    CertificateError, InconsistentKeys, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

/// A certificate and its key: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<rustls::ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Why a certificate or key cannot be used, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// What is wrong with a certificate that is used all the same: callers will refuse it.
pub type Warning = Option<String>;

impl Tls {
    /// Reads both files (PEM).
    ///
    /// # Errors
    /// A file cannot be read or holds something else, the key is not that of the certificate, or everybody may read it.
    pub fn load(certificate: &Path, key: &Path) -> Result<(Self, Warning), TlsError> {
        let (config, warning) = read(certificate, key)?;
        let tls = Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: ArcSwap::from_pointee(config),
        };
        Ok((tls, warning))
    }

    /// Reads both files again, for the connections to come.
    ///
    /// # Errors
    /// As [`Self::load`]; then what was read before stays.
    pub fn reload(&self) -> Result<Warning, TlsError> {
        let (config, warning) = read(&self.certificate, &self.key)?;
        self.current.store(Arc::new(config));
        Ok(warning)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

fn read(certificate: &Path, key: &Path) -> Result<(rustls::ServerConfig, Warning), TlsError> {
    let chain = chain_of(certificate)?;
    let secret = key_of(key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let warning = warning_about(&chain[0], certificate, &provider);
    let refuse = |error: rustls::Error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError(format!(
            "the key in {} is not that of the certificate in {}",
            key.display(),
            certificate.display()
        )),
        error => TlsError(format!(
            "{} and {} cannot be used: {error}",
            certificate.display(),
            key.display()
        )),
    };
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refuse)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(refuse)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, warning))
}

fn chain_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(TlsError(format!(
            "no certificate is in {}: it should hold one in PEM, the server's own first",
            path.display()
        ))),
        Err(error) => Err(TlsError(format!(
            "{} is no certificate in PEM: {error}",
            path.display()
        ))),
    }
}

fn key_of(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let meta = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if meta.permissions().mode() & 0o007 != 0 {
        return Err(TlsError(format!(
            "everybody on this machine may use the key {0}: run `chmod o= {0}`",
            path.display()
        )));
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        // the reason may quote what stands in the file
        TlsError(format!(
            "no private key is in {}: it should hold one in PEM, without a passphrase",
            path.display()
        ))
    })
}

fn unreadable(path: &Path, error: &io::Error) -> TlsError {
    TlsError(format!("cannot read {}: {error}", path.display()))
}

/// Whether the certificate's time is over, or has not come. The verifier of clients looks at that before all else, so it
/// does not matter that the certificate is made its own authority here.
fn warning_about(
    certificate: &CertificateDer<'static>,
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Warning {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).ok()?;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let name = ServerName::try_from("localhost").ok()?;
    let verified =
        verifier
            .build()
            .ok()?
            .verify_server_cert(certificate, &[], &name, &[], UnixTime::now());
    let how = match verified {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "has expired",
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => "is not valid yet",
        _ => return None,
    };
    let path = path.display();
    Some(format!(
        "the certificate in {path} {how}: callers will refuse it"
    ))
}
