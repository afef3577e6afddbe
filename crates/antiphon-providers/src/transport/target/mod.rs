//! [`Target`]: where requests go. Parsed once for each endpoint, cheap to clone for each request.

use std::{fmt, sync::Arc};

use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery},
};

use super::Misconfigured;

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain text, for servers on this machine and in private networks.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An origin and a path: what a request is sent to.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    origin: Arc<Origin>,
    path: PathAndQuery,
}

/// The part of a URL that a connection belongs to.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) scheme: Scheme,
    /// Lower case, IPv6 addresses without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// As the `host` header has it: brackets, and the port where it is not the scheme's own.
    authority: Authority,
    host_header: HeaderValue,
}

impl Target {
    /// Reads a base URL such as `https://api.openai.com/v1`. A slash at the end makes no difference; a query is kept
    /// for every request (Azure's `api-version`).
    ///
    /// # Errors
    /// What is wrong with it: no scheme, a scheme other than http and https, no host, a bad port, a user name or
    /// password (keys belong into headers, where they are never shown).
    pub fn parse(url: &str) -> Result<Self, Misconfigured> {
        let url = url.trim();
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(bad(
                url,
                "lacks a scheme: write https://… (or http://… for a local server)",
            ));
        };
        // checked before anything is echoed: what stands before the @ is a secret
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Misconfigured::new(
                "a base URL must not contain a user name or password: use a key",
            ));
        }
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(bad(url, "has a scheme other than http and https")),
        };
        let uri: Uri = url
            .parse()
            .map_err(|error| bad(url, "cannot be read").with_source(error))?;
        let host = uri.host().unwrap_or_default();
        if host.is_empty() {
            return Err(bad(url, "names no host"));
        }
        let port = match authority[authority.rfind(']').unwrap_or(0)..].split_once(':') {
            None | Some((_, "")) => scheme.default_port(),
            Some((_, digits)) => match digits.parse() {
                Ok(0) | Err(_) => {
                    return Err(bad(url, "has a port that is no number from 1 to 65535"));
                }
                Ok(port) => port,
            },
        };
        let path = uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self {
            origin: Arc::new(Origin::new(scheme, host, port)?),
            path,
        })
    }

    /// The target below this one: `/chat/completions` under `https://api.openai.com/v1`. Queries are joined.
    ///
    /// # Errors
    /// When the path holds characters that no URL may hold.
    pub fn join(&self, below: &str) -> Result<Self, Misconfigured> {
        let (below, more) = below.split_once('?').unwrap_or((below, ""));
        let mut path = format!(
            "{}/{}",
            self.path.path().trim_end_matches('/'),
            below.trim_start_matches('/')
        );
        let queries = [self.path.query().unwrap_or_default(), more];
        for (query, mark) in queries
            .iter()
            .filter(|query| !query.is_empty())
            .zip(['?', '&'])
        {
            path.push(mark);
            path.push_str(query);
        }
        let path = path.parse().map_err(|error: http::uri::InvalidUri| {
            Misconfigured::new(format!("the path `{path}` cannot be part of a URL"))
                .with_source(error)
        })?;
        Ok(Self {
            origin: Arc::clone(&self.origin),
            path,
        })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.origin.scheme
    }

    /// The host name or address, lower case, without brackets.
    pub fn host(&self) -> &str {
        &self.origin.host
    }

    /// The port, also where the URL leaves it out.
    pub fn port(&self) -> u16 {
        self.origin.port
    }

    /// The path and query as they are sent.
    pub fn path(&self) -> &str {
        self.path.as_str()
    }

    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// `/path?query`, as HTTP/1.1 sends it to the server itself.
    pub(super) fn origin_form(&self) -> Uri {
        Uri::from(self.path.clone())
    }

    /// `http://host/path?query`, as proxies want it and as HTTP/2 takes its pseudo headers from.
    pub(super) fn absolute_form(&self) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(match self.origin.scheme {
            Scheme::Http => http::uri::Scheme::HTTP,
            Scheme::Https => http::uri::Scheme::HTTPS,
        });
        parts.authority = Some(self.origin.authority.clone());
        parts.path_and_query = Some(self.path.clone());
        // all three parts are present, which is the only thing that could be wrong with them
        Uri::from_parts(parts).unwrap_or_else(|_| self.origin_form())
    }
}

impl Origin {
    fn new(scheme: Scheme, host: &str, port: u16) -> Result<Self, Misconfigured> {
        let host = host.to_ascii_lowercase();
        let written = if port == scheme.default_port() {
            host.clone()
        } else {
            format!("{host}:{port}")
        };
        let authority: Authority = written
            .parse()
            .map_err(|error| bad(&written, "is no host").with_source(error))?;
        let host_header = HeaderValue::from_str(&written)
            .map_err(|error| bad(&written, "is no host").with_source(error))?;
        Ok(Self {
            scheme,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority,
            host_header,
        })
    }

    pub(super) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }

    /// The origin as a URL, which is what proxy rules are matched against.
    pub(super) fn url(self: &Arc<Self>) -> Uri {
        Target {
            origin: Arc::clone(self),
            path: PathAndQuery::from_static("/"),
        }
        .absolute_form()
    }

    /// `host:port` with brackets where needed, as CONNECT wants it.
    pub(super) fn host_and_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.authority.as_str())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.absolute_form().fmt(f)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

fn bad(url: &str, what: &str) -> Misconfigured {
    Misconfigured::new(format!("the URL `{url}` {what}"))
}

#[cfg(test)]
mod tests;
