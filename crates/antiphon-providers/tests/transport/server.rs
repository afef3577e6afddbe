//! Servers to test against, and short words for requests.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use antiphon_core::Error;
use antiphon_providers::transport::{
    HttpTransport, Target, Transport, TransportConfig, WireRequest, WireResponse,
};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A server that runs as long as the test's runtime.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// What happens on each connection is up to `serve`, which gets its number.
    pub(crate) async fn raw<F>(serve: impl Fn(TcpStream, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, count.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Self { address, accepted }
    }

    /// HTTP/1.1 with keep-alive.
    pub(crate) async fn http<F>(
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self::raw(move |stream, _| serve_http1(stream, answer.clone())).await
    }

    /// Reads one request on each connection (its body is `ask`), then writes these bytes and closes it.
    pub(crate) async fn answering(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::raw(move |mut stream, _| {
            let bytes = bytes.clone();
            async move {
                read_head(&mut stream).await;
                // closing with unread bytes would reset the connection
                stream.read_exact(&mut [0; 3]).await.unwrap();
                // the client may hang up in the middle
                let _ = stream.write_all(&bytes).await;
            }
        })
        .await
    }

    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn target(&self) -> Target {
        Target::parse(&format!("http://{}", self.address)).unwrap()
    }

    pub(crate) fn tls_target(&self) -> Target {
        Target::parse(&format!("https://localhost:{}", self.address.port())).unwrap()
    }
}

/// Serves one HTTP/1.1 connection.
pub(crate) async fn serve_http1<S, F>(stream: S, answer: impl Fn(Request<Incoming>) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Serves one HTTP/2 connection with this many streams at most.
pub(crate) async fn serve_http2<S, B, F>(
    stream: S,
    streams: u32,
    answer: impl Fn(Request<Incoming>) -> F,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The head of a request, as text; empty when the client closed the connection.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A certificate with its key, and the file that makes it trusted.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) file: PathBuf,
    config: rustls::ServerConfig,
}

impl Identity {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    pub(crate) fn with(name: &str, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut wanted = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut wanted);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = wanted.self_signed(&key).unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let file =
            std::env::temp_dir().join(format!("antiphon-root-{}-{number}.pem", std::process::id()));
        std::fs::write(&file, certificate.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self { file, config }
    }

    /// Accepts TLS connections that may choose between these protocols.
    pub(crate) fn acceptor(&self, protocols: &[&str]) -> tokio_rustls::TlsAcceptor {
        let mut config = self.config.clone();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    }

    /// A transport that trusts this certificate.
    pub(crate) fn transport(&self) -> HttpTransport {
        HttpTransport::new(self.trusted())
    }

    pub(crate) fn trusted(&self) -> TransportConfig {
        TransportConfig::default()
            .with_root_file(&self.file)
            .unwrap()
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

pub(crate) fn transport() -> HttpTransport {
    HttpTransport::new(TransportConfig::default())
}

pub(crate) fn post(target: &Target, body: impl Into<Bytes>) -> WireRequest {
    WireRequest::post(target.clone(), HeaderMap::new(), body)
}

pub(crate) async fn send(
    transport: &HttpTransport,
    target: &Target,
) -> Result<WireResponse, Error> {
    transport.send(post(target, "ask")).await
}

/// Status and body of one exchange.
pub(crate) async fn ask(
    transport: &HttpTransport,
    target: &Target,
) -> Result<(u16, String), Error> {
    let response = send(transport, target).await?;
    let body = response.body.collect().await?;
    Ok((response.status, String::from_utf8(body.to_vec()).unwrap()))
}

pub(crate) fn text(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(body.into()))
}

/// Lets everything else happen first: sockets are looked at every 61 turns.
pub(crate) async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}
