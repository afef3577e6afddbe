//! [`HttpService`]: the server over Streamable HTTP, as a service for any HTTP server.
//!
//! ```text
//! request ──> HttpService: whose session is it ──> rmcp: Host, Origin, era ──> session (handshake era) ──> Handler
//!                │                                                       └──> one request (2026-07-28) ──> Handler
//!                └── Sessions: so many, who owns them, which streams are open
//! ```

mod manager;
mod sessions;
mod stream;

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use super::{Server, handler::Handler};
pub(super) use sessions::SessionEnd;
use sessions::Sessions;

/// The header that names a session.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// What a machine calls itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Who sends a request, where that is known. Whoever lets requests in puts it among their extensions; a session, and what
/// a client is given to send back later, is then that sender's alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub Arc<str>);

/// How a server deals with its clients over HTTP.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Names that a request may be sent to, so that no web page can reach the server by a name of its own (DNS rebinding);
    /// `None` where every request shows a key. Of web pages, which have an `Origin`, only those of loopback are let in.
    pub hosts: Option<Vec<String>>,
    /// Bytes of the largest body.
    pub largest_body: usize,
    /// Sessions at once. One more takes the place of the one that has been idle for longest.
    pub most_sessions: usize,
    /// Time after which a session ends that nobody has used, and on which no stream is open.
    pub idle: Duration,
    /// Time that a client whose connection broke has to come back for the answer of a call, before the call is given up.
    pub grace: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            hosts: Some(LOOPBACK.map(str::to_owned).to_vec()),
            largest_body: 32 << 20,
            most_sessions: 256,
            idle: Duration::from_secs(30 * 60),
            // clients are told to come back after three seconds
            grace: Duration::from_secs(10),
        }
    }
}

/// A server of tools for clients that come over HTTP. Clones are the same one.
#[derive(Clone)]
pub struct HttpService {
    service: StreamableHttpService<Handler, Sessions>,
    sessions: Arc<Sessions>,
    stop: CancellationToken,
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService")
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// The server over HTTP. All its sessions and calls end once `stop` is cancelled.
    pub fn http(&self, config: HttpConfig, stop: CancellationToken) -> HttpService {
        let sessions = Arc::new(Sessions::new(&config));
        let mut transport = StreamableHttpServerConfig::default()
            .enforce_origin_validation()
            .with_allowed_origins(pages_of_loopback())
            .with_max_request_body_bytes(config.largest_body)
            .with_cancellation_token(stop.clone());
        transport = match config.hosts {
            Some(hosts) => transport.with_allowed_hosts(hosts),
            None => transport.disable_allowed_hosts(),
        };
        let (server, ending) = (self.clone(), stop.clone());
        let handler = move || Ok(Handler::new(&server, ending.child_token()));
        HttpService {
            service: StreamableHttpService::new(handler, Arc::clone(&sessions), transport),
            sessions,
            stop,
        }
    }
}

impl HttpService {
    /// Answers a request, at whatever path it came.
    pub async fn handle<B>(&self, mut request: Request<B>) -> Response<BoxBody<Bytes, Infallible>>
    where
        B: http_body::Body + Send + 'static,
        B::Error: fmt::Display,
    {
        let sender = request.extensions().get::<Principal>().cloned();
        if let Some(id) = session_in(request.headers()) {
            match self.sessions.enter(&id, sender.as_ref()) {
                Ok(Some(ends)) => drop(request.extensions_mut().insert(ends)),
                // the library says that there is none
                Ok(None) => {}
                // another's session is none
                Err(_) => return refused(StatusCode::NOT_FOUND, "Not Found: Session not found"),
            }
        }
        let is_end = request.method() == Method::DELETE;
        let mut response = self.service.handle(request).await;
        if is_end && response.status() == StatusCode::ACCEPTED {
            // it is done, and some clients warn of any other word for that
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        if let Some(id) = session_in(response.headers()) {
            self.sessions.give(&id, sender);
        }
        if response.status() == StatusCode::INTERNAL_SERVER_ERROR && self.sessions.are_full() {
            let message = "there are as many sessions as the server takes, all of them in use: try again later";
            let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, message);
            let later = HeaderValue::from_static("10");
            response.headers_mut().insert(header::RETRY_AFTER, later);
            return response;
        }
        response
    }

    /// Ends all sessions and calls.
    pub fn close(&self) {
        self.stop.cancel();
    }

    /// Sessions that there are.
    pub fn sessions(&self) -> usize {
        self.sessions.count()
    }
}

/// Pages at any port of this machine: whoever shows one there could ask without it, too.
fn pages_of_loopback() -> impl Iterator<Item = String> {
    let of = |scheme: &'static str| LOOPBACK.map(|host| format!("{scheme}://{host}:*"));
    ["http", "https"].into_iter().flat_map(of)
}

fn session_in(headers: &HeaderMap) -> Option<Arc<str>> {
    Some(headers.get(SESSION)?.to_str().ok()?.into())
}

fn refused(status: StatusCode, message: &'static str) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(Full::new(Bytes::from_static(message.as_bytes())).boxed());
    *response.status_mut() = status;
    response
}
