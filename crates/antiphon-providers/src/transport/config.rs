//! Settings of the transport, and what can be wrong with them.

use std::{error, fmt, path::Path, sync::Arc, time::Duration};

use antiphon_core::{Error, ErrorKind};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::ProxyConfig;

/// Largest response body; a chat answer is kilobytes, an embedding batch a few megabytes.
const BODY_LIMIT: usize = 32 << 20;
/// Longer than most servers keep an idle connection, shorter than most firewalls remember one.
const IDLE_LIMIT: Duration = Duration::from_secs(90);
/// Idle HTTP/1.1 connections kept for each origin. All of them were in use at the same time not long ago; keeping fewer
/// than a busy run has in flight makes it connect anew after every lull, which costs more than the requests themselves.
const MOST_IDLE: usize = 16 << 10;

/// Settings of an [`HttpTransport`](super::HttpTransport).
#[derive(Clone, Debug)]
pub struct TransportConfig {
    pub(super) proxy: ProxyConfig,
    pub(super) extra_roots: Vec<CertificateDer<'static>>,
    pub(super) body_limit: usize,
    pub(super) idle_limit: Duration,
    pub(super) most_idle: usize,
}

impl Default for TransportConfig {
    /// No proxy, the platform's certificates, bodies up to 32 MiB, idle connections kept for 90 s.
    fn default() -> Self {
        Self {
            proxy: ProxyConfig::none(),
            extra_roots: Vec::new(),
            body_limit: BODY_LIMIT,
            idle_limit: IDLE_LIMIT,
            most_idle: MOST_IDLE,
        }
    }
}

impl TransportConfig {
    /// Goes through these proxies.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = proxy;
        self
    }

    /// Trusts the certificates of this PEM file too, beside those of the platform.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn with_root_file(mut self, path: &Path) -> Result<Self, Misconfigured> {
        let shown = path.display();
        let unreadable = |error| {
            Misconfigured::new(format!("cannot read certificates from {shown}")).with_source(error)
        };
        let known = self.extra_roots.len();
        for root in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            self.extra_roots.push(root.map_err(unreadable)?);
        }
        if self.extra_roots.len() == known {
            return Err(Misconfigured::new(format!("{shown} holds no certificate")));
        }
        Ok(self)
    }

    /// Refuses response bodies of more bytes than this.
    #[must_use]
    pub fn with_body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Closes connections that nobody used for this long.
    #[must_use]
    pub fn with_idle_limit(mut self, limit: Duration) -> Self {
        self.idle_limit = limit;
        self
    }

    /// Keeps at most this many idle HTTP/1.1 connections for each origin.
    #[must_use]
    pub fn with_most_idle(mut self, connections: usize) -> Self {
        self.most_idle = connections;
        self
    }
}

/// A setting that cannot work: found before anything is sent.
#[derive(Clone)]
pub struct Misconfigured {
    message: String,
    source: Option<Arc<dyn error::Error + Send + Sync>>,
}

impl Misconfigured {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    pub(super) fn with_source(mut self, source: impl error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Misconfigured({})", self.message)
    }
}

impl error::Error for Misconfigured {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

impl From<Misconfigured> for Error {
    fn from(wrong: Misconfigured) -> Self {
        Error::new(ErrorKind::BadRequest, wrong.message.clone()).with_source(wrong)
    }
}
