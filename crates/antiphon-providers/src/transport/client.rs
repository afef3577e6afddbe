//! [`HttpTransport`]: the transport that really talks.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use antiphon_core::{BoxFuture, Error, ErrorKind};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header, response::Parts};
use http_body_util::Full;
use hyper::body::Incoming;

use super::{
    Target, Transport, TransportConfig, WireBody, WireRequest, WireResponse,
    body::too_large,
    dial::Dialer,
    failure,
    http1::{Broken, Http1Body, Message},
    http2::{self, Http2Body},
    pool::{Lease, Pool},
    target::Origin,
    tls::Tls,
};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("antiphon/", env!("CARGO_PKG_VERSION")));

/// Connections that turn out closed before a request was sent are replaced this often for one request.
const MOST_RESENDS: u32 = 3;

/// Headers that describe the connection or the framing of one message (RFC 9110, section 7.6.1): built anew, so that
/// nothing a caller passes on can smuggle a second request. Without `accept-encoding` no answer is compressed.
const OWN_HEADERS: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::ACCEPT_ENCODING,
    header::EXPECT,
];

/// The HTTP client: one pool of connections for each origin, shared by all clones.
///
/// Connections belong to the tokio runtime that opened them; use one transport in one runtime.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: TransportConfig,
    dialer: Arc<Dialer>,
    pools: RwLock<HashMap<Arc<Origin>, Arc<Pool>>>,
}

impl HttpTransport {
    /// A transport with these settings. Nothing is opened or read yet.
    pub fn new(config: TransportConfig) -> Self {
        let dialer = Arc::new(Dialer::new(Tls::new(config.extra_roots.clone())));
        Self {
            shared: Arc::new(Shared {
                config,
                dialer,
                pools: RwLock::default(),
            }),
        }
    }

    fn pool(&self, target: &Target) -> Arc<Pool> {
        let origin = target.origin();
        let pools = self
            .shared
            .pools
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(origin) {
            return Arc::clone(pool);
        }
        drop(pools);
        let mut pools = self
            .shared
            .pools
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let pool = pools.entry(Arc::clone(origin)).or_insert_with(|| {
            let dialer = Arc::clone(&self.shared.dialer);
            Arc::new(Pool::new(Arc::clone(origin), dialer, &self.shared.config))
        });
        Arc::clone(pool)
    }

    async fn exchange(&self, request: WireRequest) -> Result<WireResponse, Error> {
        let WireRequest {
            method,
            target,
            headers,
            body,
            connect_timeout,
            idle_timeout,
        } = request;
        let pool = self.pool(&target);
        let limit = self.shared.config.body_limit;
        let mut message = Request::new(Full::new(body));
        *message.method_mut() = method;
        *message.headers_mut() = clean(headers);
        for resend in 0..=MOST_RESENDS {
            let broken = match pool.lease(connect_timeout, resend > 0).await? {
                Lease::Http1(connection) => {
                    address_http1(&mut message, &target, &pool);
                    match connection.exchange(message).await {
                        Ok((connection, response)) => {
                            let (head, incoming) = response.into_parts();
                            let body = Http1Body::new(incoming, connection, pool);
                            return respond(head, limit, |limit| {
                                WireBody::http1(body, limit, idle_timeout)
                            });
                        }
                        Err(broken) => broken,
                    }
                }
                Lease::Http2(mut slot) => {
                    address_http2(&mut message, &target);
                    match http2::exchange(&mut slot, message).await {
                        Ok(response) => {
                            let (head, incoming): (Parts, Incoming) = response.into_parts();
                            let body = Http2Body::new(incoming, slot);
                            return respond(head, limit, |limit| {
                                WireBody::http2(body, limit, idle_timeout)
                            });
                        }
                        Err(broken) => {
                            if matches!(broken, Broken::Unsent(_)) {
                                slot.close();
                            }
                            broken
                        }
                    }
                }
            };
            match broken {
                Broken::Unsent(unsent) => message = *unsent,
                Broken::Failed(error) => return Err(failure::exchange(error, pool.origin())),
            }
        }
        Err(Error::new(
            ErrorKind::Connection,
            format!(
                "{} closes every connection before a request is sent",
                pool.origin()
            ),
        ))
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, Error>> {
        Box::pin(self.exchange(request))
    }
}

fn clean(mut headers: HeaderMap) -> HeaderMap {
    for own in &OWN_HEADERS {
        headers.remove(own);
    }
    headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
    headers
}

fn address_http1(message: &mut Message, target: &Target, pool: &Pool) {
    let headers = message.headers_mut();
    headers.insert(header::HOST, pool.origin().host_header());
    let Some(proxy) = pool.forwarder() else {
        *message.uri_mut() = target.origin_form();
        return;
    };
    if let Some(login) = &proxy.login {
        headers.insert(header::PROXY_AUTHORIZATION, login.clone());
    }
    *message.uri_mut() = target.absolute_form();
}

fn address_http2(message: &mut Message, target: &Target) {
    // the pseudo header :authority takes its place
    message.headers_mut().remove(header::HOST);
    *message.uri_mut() = target.absolute_form();
}

/// Checks the head before anybody reads the body.
fn respond(
    head: Parts,
    limit: usize,
    body: impl FnOnce(usize) -> WireBody,
) -> Result<WireResponse, Error> {
    let status = head.status.as_u16();
    let refuse = |error: Error| Err(error.with_status(status));
    if let Some(encoding) = head.headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return refuse(Error::new(
            ErrorKind::BadResponse,
            "the response is compressed, which was not asked for",
        ));
    }
    let announced = head
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return refuse(too_large(limit));
    }
    Ok(WireResponse {
        status,
        headers: head.headers,
        body: body(limit),
    })
}
