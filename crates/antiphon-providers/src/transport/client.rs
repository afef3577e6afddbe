//! [`HttpTransport`]: the transport that really talks.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use antiphon_core::{BoxFuture, Error, ErrorKind};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header, response::Parts};
use http_body_util::Full;

use super::{
    Target, Transport, TransportConfig, WireBody, WireRequest, WireResponse,
    body::too_large,
    dial::Dialer,
    failure,
    http1::{Broken, Http1, Http1Body, Message},
    http2::{self, Http2Body},
    pool::{Lease, Pool, Slot},
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
        let mut message = Request::new(Full::new(request.body));
        *message.method_mut() = request.method;
        *message.headers_mut() = clean(request.headers);
        let exchange = Exchange {
            pool: self.pool(&request.target),
            target: request.target,
            body_limit: self.shared.config.body_limit,
            idle_timeout: request.idle_timeout,
        };
        for resend in 0..=MOST_RESENDS {
            let lease = exchange
                .pool
                .lease(request.connect_timeout, resend > 0)
                .await
                .map_err(Error::not_sent)?;
            let outcome = match lease {
                Lease::Http1(connection) => exchange.over_http1(connection, message).await,
                Lease::Http2(slot) => exchange.over_http2(slot, message).await,
            };
            match outcome {
                Ok((head, body)) => return exchange.respond(head, body),
                Err(Broken::Unsent(unsent)) => message = *unsent,
                Err(Broken::Failed(error)) => {
                    return Err(failure::exchange(error, exchange.pool.origin()));
                }
            }
        }
        Err(Error::new(
            ErrorKind::Connection,
            format!(
                "{} closes every connection before a request is sent",
                exchange.target.origin()
            ),
        )
        .not_sent())
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

/// What one request needs on whatever connection it gets.
struct Exchange {
    pool: Arc<Pool>,
    target: Target,
    body_limit: usize,
    idle_timeout: Duration,
}

impl Exchange {
    async fn over_http1(
        &self,
        connection: Box<Http1>,
        mut message: Message,
    ) -> Result<(Parts, WireBody), Broken> {
        let headers = message.headers_mut();
        headers.insert(header::HOST, self.pool.origin().host_header());
        if let Some(proxy) = self.pool.forwarder() {
            if let Some(login) = &proxy.login {
                headers.insert(header::PROXY_AUTHORIZATION, login.clone());
            }
            *message.uri_mut() = self.target.absolute_form();
        } else {
            *message.uri_mut() = self.target.origin_form();
        }
        let (connection, response) = connection.exchange(message).await?;
        let (head, incoming) = response.into_parts();
        let body = Http1Body::new(incoming, connection, Arc::clone(&self.pool));
        Ok((
            head,
            WireBody::http1(body, self.body_limit, self.idle_timeout),
        ))
    }

    async fn over_http2(
        &self,
        mut slot: Slot,
        mut message: Message,
    ) -> Result<(Parts, WireBody), Broken> {
        // the pseudo header :authority takes its place
        message.headers_mut().remove(header::HOST);
        *message.uri_mut() = self.target.absolute_form();
        match http2::exchange(&mut slot, message).await {
            Ok(response) => {
                let (head, incoming) = response.into_parts();
                let body = Http2Body::new(incoming, slot);
                Ok((
                    head,
                    WireBody::http2(body, self.body_limit, self.idle_timeout),
                ))
            }
            Err(broken) => {
                if matches!(broken, Broken::Unsent(_)) {
                    slot.close();
                }
                Err(broken)
            }
        }
    }

    /// Checks the head before anybody reads the body.
    fn respond(&self, head: Parts, body: WireBody) -> Result<WireResponse, Error> {
        let status = head.status.as_u16();
        if let Some(encoding) = head.headers.get(header::CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            let message = "the response is compressed, which was not asked for";
            return Err(Error::new(ErrorKind::BadResponse, message).with_status(status));
        }
        let announced = head
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.body_limit) {
            return Err(too_large(self.body_limit).with_status(status));
        }
        Ok(WireResponse {
            status,
            headers: head.headers,
            body,
        })
    }
}
