//! [`ToolSite`]: the tools of MCP over HTTP.

use std::{fmt, net::IpAddr, sync::Arc};

use antiphon::{
    Config, ConfigError, Error, ErrorKind,
    env::Lookup,
    fronts::Front,
    tools::{self, HttpConfig, HttpService, Principal},
};
use axum::{Router, body::Body, extract::Request, routing::any};
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    callers::{Callers, Pages, check_local},
    calls::Calls,
    incoming,
    refusal::{status_of, whole_seconds},
    server::Site,
};

/// Where the tools are.
const PATH: &str = "/mcp";
/// What JSON-RPC calls an error that a server gives a meaning of its own (section 5.1).
const REFUSED: i32 = -32000;

/// The tools of MCP at `/mcp`, for callers with a key where keys are configured, else for this machine alone. Clones are the
/// same one.
#[derive(Clone)]
pub struct ToolSite(Arc<Inner>);

struct Inner {
    service: HttpService,
    callers: Callers,
    calls: Arc<Calls>,
}

impl fmt::Debug for ToolSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolSite")
            .field("callers", &self.0.callers)
            .finish_non_exhaustive()
    }
}

impl ToolSite {
    /// The tools of a server that listens at `address`.
    ///
    /// # Errors
    /// A key of the configuration cannot be used, or has bounds that the tools would not keep to.
    pub fn new(
        server: &tools::Server,
        address: IpAddr,
        config: &Config,
        env: Lookup<'_>,
    ) -> Result<Self, ConfigError> {
        let callers = Callers::unlimited(config, env)?;
        let mut http = HttpConfig::default();
        match &mut http.hosts {
            // whoever shows a key is no web page
            hosts if callers.are_used() => *hosts = None,
            Some(hosts) => hosts.push(address.to_string()),
            None => {}
        }
        Ok(Self(Arc::new(Inner {
            service: server.http(http, CancellationToken::new()),
            callers,
            calls: Arc::default(),
        })))
    }

    /// Whether callers need keys.
    pub fn needs_keys(&self) -> bool {
        self.0.callers.are_used()
    }

    /// Sessions that there are.
    pub fn sessions(&self) -> usize {
        self.0.service.sessions()
    }

    /// Requests under way, their answers included.
    pub fn calls_under_way(&self) -> usize {
        self.0.calls.under_way()
    }

    async fn answer(self, request: Request) -> Response<Body> {
        match self.answered(request).await {
            Ok(response) => response,
            Err(error) => refused(&error),
        }
    }

    async fn answered(&self, mut request: Request) -> Result<Response<Body>, Error> {
        if !self.needs_keys() {
            check_local(&request, Pages::OfLoopback)?;
        }
        let caller = self.0.callers.identify(request.headers())?;
        if let Some(name) = caller.name() {
            let principal = Principal(Arc::clone(name));
            request.extensions_mut().insert(principal);
        }
        let (parts, body) = request.into_parts();
        let body = match parts.method {
            Method::POST => incoming::read(&parts, body).await?,
            _ => bytes::Bytes::new(),
        };
        let request = Request::from_parts(parts, Body::from(body));
        Ok(self.0.service.handle(request).await.map(Body::new))
    }
}

impl Site for ToolSite {
    fn router(&self) -> Router {
        let site = self.clone();
        let tools = any(move |request| site.clone().answer(request));
        Router::new().route(PATH, tools).fallback(nothing_there)
    }

    fn calls(&self) -> &Arc<Calls> {
        &self.0.calls
    }

    fn is_call(&self, method: &Method, _path: &str) -> bool {
        method == Method::POST
    }

    fn refusal(&self, error: &Error, _front: &'static dyn Front) -> Response<Body> {
        refused(error)
    }

    fn close(&self) {
        self.0.service.close();
    }
}

async fn nothing_there(request: Request) -> Response<Body> {
    let path = request.uri().path();
    let message = format!("nothing is at {path}: the tools are at {PATH}");
    refused(&Error::new(ErrorKind::BadRequest, message).with_status(404))
}

/// An error that concerns no request of JSON-RPC, or one that nobody has read.
fn refused(error: &Error) -> Response<Body> {
    // what serves both says it of the gateway
    let message = error.message().replace("the gateway", "this server");
    let told = json!({"code": REFUSED, "message": message});
    let body = json!({"jsonrpc": "2.0", "id": null, "error": told});
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status_of(error);
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    if let Some(delay) = error.retry_after() {
        let delay = HeaderValue::from(whole_seconds(delay));
        headers.insert(header::RETRY_AFTER, delay);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"antiphon\"");
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::stopping;

    #[tokio::test]
    async fn a_refusal_is_an_error_of_json_rpc_and_does_not_speak_of_the_gateway() {
        let response = refused(&stopping());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await;
        let told: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
        assert_eq!(told["id"], serde_json::Value::Null);
        assert_eq!(told["error"]["code"], REFUSED);
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("this server is stopping"), "{message}");
    }
}
