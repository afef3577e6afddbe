//! Errors of sockets, TLS and HTTP, classified once.
//!
//! Whatever may succeed when tried again is [`ErrorKind::Connection`]; an answer that cannot be read is
//! [`ErrorKind::BadResponse`]; a TLS failure is a connection error that nobody should retry silently, since it is a wrong
//! clock, a wrong certificate or somebody in between.

use std::{error::Error as StdError, fmt, io};

use antiphon_core::{Error, ErrorKind};
use rustls::CertificateError;

/// No TCP connection to the peer (`host:port`).
pub(super) fn connect(error: io::Error, peer: impl fmt::Display) -> Error {
    let message = match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {peer}"),
        io::ErrorKind::TimedOut => format!("no connection to {peer}: it does not answer"),
        _ => format!("no connection to {peer}: {error}"),
    };
    Error::new(ErrorKind::Connection, message).with_source(error)
}

/// No TLS connection with the host.
pub(super) fn tls(error: io::Error, host: &str) -> Error {
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let message = match cause {
        Some(rustls::Error::InvalidCertificate(wrong)) => certificate(wrong, host),
        Some(rustls::Error::InvalidMessage(_)) => {
            format!("{host} does not speak TLS: is it an http:// address?")
        }
        Some(other) => format!("TLS handshake with {host} failed: {other}"),
        // the network broke, not the trust
        None if error.get_ref().is_none() || is_broken_pipe(error.kind()) => {
            return Error::new(
                ErrorKind::Connection,
                format!("connection to {host} broke during the TLS handshake: {error}"),
            )
            .with_source(error);
        }
        None => format!("TLS handshake with {host} failed: {error}"),
    };
    Error::new(ErrorKind::Connection, message)
        .with_should_retry(Some(false))
        .stopping_the_run()
        .with_source(error)
}

fn certificate(wrong: &CertificateError, host: &str) -> String {
    let what = match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet: is this machine's clock right?"
        }
        CertificateError::UnknownIssuer => {
            "is signed by an unknown authority (SSL_CERT_FILE can name one to trust)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another host"
        }
        CertificateError::Revoked => "has been revoked",
        other => return format!("certificate of host {host} is not valid: {other}"),
    };
    format!("certificate of host {host} {what}")
}

/// An exchange that failed after the connection stood.
pub(super) fn exchange(error: hyper::Error, peer: impl fmt::Display) -> Error {
    let (kind, message) = describe(&error, &peer);
    Error::new(kind, message).with_source(error)
}

fn describe(error: &hyper::Error, peer: &dyn fmt::Display) -> (ErrorKind, String) {
    use ErrorKind::{BadResponse, Connection};
    if error.is_parse_too_large() {
        return (
            BadResponse,
            format!("response headers of {peer} are too large"),
        );
    }
    if error.is_parse() {
        return (
            BadResponse,
            format!("{peer} answered with something that is not HTTP: {error}"),
        );
    }
    if error.is_timeout() {
        return (
            Connection,
            format!("connection to {peer} is dead: no answer to pings"),
        );
    }
    if let Some(reset) = cause_of::<h2::Error>(error) {
        return http2(reset, peer);
    }
    if let Some(broken) = cause_of::<io::Error>(error) {
        return match broken.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => (
                BadResponse,
                format!("the answer of {peer} is malformed: {broken}"),
            ),
            io::ErrorKind::ConnectionReset => {
                (Connection, format!("connection to {peer} was reset"))
            }
            kind if is_broken_pipe(kind) => (Connection, closed_early(peer)),
            _ => (Connection, format!("connection to {peer} broke: {broken}")),
        };
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return (Connection, closed_early(peer));
    }
    (Connection, format!("connection to {peer} broke: {error}"))
}

fn http2(error: &h2::Error, peer: &dyn fmt::Display) -> (ErrorKind, String) {
    let reason = error.reason().unwrap_or(h2::Reason::INTERNAL_ERROR);
    // found on this side: what the peer sent breaks the protocol or our bounds
    if error.is_library() && reason != h2::Reason::NO_ERROR {
        return (
            ErrorKind::BadResponse,
            format!(
                "the answer of {peer} breaks HTTP/2: {}",
                reason.description()
            ),
        );
    }
    let what = if error.is_go_away() {
        "was closed by the server"
    } else {
        "had its stream reset"
    };
    (
        ErrorKind::Connection,
        format!("connection to {peer} {what}: {}", reason.description()),
    )
}

fn closed_early(peer: &dyn fmt::Display) -> String {
    format!("connection to {peer} closed before the answer was complete")
}

fn is_broken_pipe(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

fn cause_of<E: StdError + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
