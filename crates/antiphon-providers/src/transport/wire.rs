//! A request and a response as they stand on the wire.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::{Target, WireBody};

/// Time for DNS, TCP, proxy and TLS together, where nothing else is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence within a body, where nothing else is said: reasoning models pause for minutes between two events.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// A request, complete. Cheap to rebuild for another attempt, since the body is shared.
pub struct WireRequest {
    /// The method.
    pub method: Method,
    /// Where to.
    pub target: Target,
    /// Headers of the dialect: authorization, content type, versions. Those of the connection itself (`host`,
    /// `content-length`, `transfer-encoding`, `connection`, `accept-encoding`, …) are built anew and cannot be set.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Time for DNS, TCP, proxy and TLS together, and for a free stream where all connections are full.
    pub connect_timeout: Duration,
    /// Longest silence between two pieces of the body. It does not cover the wait for the head.
    pub idle_timeout: Duration,
}

impl WireRequest {
    /// A request with a body and with default limits: 5 s to connect, 300 s of silence.
    pub fn post(target: Target, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self {
            method: Method::POST,
            target,
            headers,
            body: body.into(),
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
        }
    }
}

impl fmt::Debug for WireRequest {
    /// Names what is asked where, never headers: they hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireRequest")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("body_bytes", &self.body.len())
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .finish_non_exhaustive()
    }
}

/// A response: its head is here, its body may still be on the way.
#[derive(Debug)]
pub struct WireResponse {
    /// The HTTP status, whatever it is: 3xx and errors are answers too.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: WireBody,
}
