//! Proxies from the environment, with curl's rules.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use super::{Misconfigured, Scheme, Target, target::Origin};

/// Which requests go through which proxy.
///
/// Names and order are curl's: `https_proxy`/`HTTPS_PROXY` for https targets, `http_proxy`/`HTTP_PROXY` for http
/// targets, `all_proxy`/`ALL_PROXY` for what they leave open; `no_proxy`/`NO_PROXY` lists hosts, domains and networks
/// that are reached directly, `*` for all. Lower case wins. In a CGI environment (`REQUEST_METHOD` is set)
/// `HTTP_PROXY` is ignored, because there a caller's `Proxy` header could set it (httpoxy).
///
/// Unlike curl, loopback targets (`localhost`, `127.0.0.0/8`, `::1`) never go through a proxy: a local model server
/// seen from a proxy would be another machine's.
#[derive(Clone)]
pub struct ProxyConfig {
    rules: Option<Arc<Matcher>>,
}

/// A proxy that a request goes through.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) target: Target,
    /// `Basic …` from the proxy's URL, marked as sensitive.
    pub(super) login: Option<HeaderValue>,
}

impl ProxyConfig {
    /// Everything goes straight to its host.
    pub fn none() -> Self {
        Self { rules: None }
    }

    /// Reads the variables through `lookup`, which is `std::env::var(name).ok()` in a program and a table in a test.
    ///
    /// # Errors
    /// A variable that is set but names no usable proxy: going directly instead would leave the user's network
    /// unasked. SOCKS proxies are not supported.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Misconfigured> {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let value = lookup(name)?.trim().to_owned();
                (!value.is_empty()).then_some((name, value))
            })
        };
        let is_cgi = lookup("REQUEST_METHOD").is_some();
        let http = first(if is_cgi {
            ["http_proxy", "http_proxy"]
        } else {
            ["http_proxy", "HTTP_PROXY"]
        });
        let https = first(["https_proxy", "HTTPS_PROXY"]);
        let all = first(["all_proxy", "ALL_PROXY"]);
        let no = first(["no_proxy", "NO_PROXY"]).map_or(String::new(), |(_, value)| value);
        if http.is_none() && https.is_none() && all.is_none() {
            return Ok(Self::none());
        }
        let mut rules = Matcher::builder().no(no);
        for (found, kind) in [(http, "http"), (https, "https"), (all, "all")] {
            let Some((name, value)) = found else { continue };
            check(name, &value)?;
            rules = match kind {
                "http" => rules.http(value),
                "https" => rules.https(value),
                _ => rules.all(value),
            };
        }
        Ok(Self {
            rules: Some(Arc::new(rules.build())),
        })
    }

    /// The proxy on the way to an origin.
    pub(super) fn proxy_for(&self, origin: &Arc<Origin>) -> Option<Proxy> {
        let rules = self.rules.as_ref()?;
        if is_loopback(&origin.host) {
            return None;
        }
        let hit = rules.intercept(&origin.url())?;
        Some(Proxy {
            target: read(hit.uri()).ok()?,
            login: hit.basic_auth().cloned(),
        })
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rules {
            None => f.write_str("ProxyConfig(none)"),
            Some(rules) => write!(f, "ProxyConfig({rules:?})"),
        }
    }
}

/// Refuses what the matcher would ignore. The value itself is not shown: it may hold a password.
fn check(name: &str, value: &str) -> Result<(), Misconfigured> {
    let wrong = |why: &str| Misconfigured::new(format!("{name} {why}"));
    if value.to_ascii_lowercase().starts_with("socks") {
        return Err(wrong(
            "names a SOCKS proxy: only http and https proxies are supported",
        ));
    }
    // asks the matcher itself, so that both have the same idea of what can be read
    let probe = Matcher::builder().all(value).build();
    let hit = probe
        .intercept(&Uri::from_static("http://probe.invalid/"))
        .ok_or_else(|| wrong("is no URL of a proxy"))?;
    read(hit.uri())
        .map(drop)
        .map_err(|_| wrong("is no URL of a proxy"))
}

fn read(uri: &Uri) -> Result<Target, Misconfigured> {
    Target::parse(&uri.to_string())
}

impl Proxy {
    /// Whether requests are sent to the proxy in absolute form rather than through a tunnel.
    pub(super) fn forwards(&self, origin: &Origin) -> bool {
        origin.scheme == Scheme::Http
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<ProxyConfig, Misconfigured> {
        ProxyConfig::from_lookup(|name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        })
    }

    fn way(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let origin = Arc::clone(Target::parse(url).unwrap().origin());
        let proxy = config(variables).unwrap().proxy_for(&origin)?;
        Some(proxy.target.origin().host_and_port())
    }

    #[test]
    fn follows_curls_variables() {
        let both = [
            ("HTTP_PROXY", "http://a.test:1"),
            ("HTTPS_PROXY", "b.test:2"),
        ];
        assert_eq!(way(&both, "http://x.test").as_deref(), Some("a.test:1"));
        assert_eq!(way(&both, "https://x.test").as_deref(), Some("b.test:2"));
        let lower_wins = [
            ("HTTP_PROXY", "http://a.test"),
            ("http_proxy", "http://c.test"),
        ];
        assert_eq!(
            way(&lower_wins, "http://x.test").as_deref(),
            Some("c.test:80")
        );
        let all = [("ALL_PROXY", "http://a.test:1"), ("HTTPS_PROXY", "")];
        assert_eq!(way(&all, "https://x.test").as_deref(), Some("a.test:1"));
        let cgi = [("HTTP_PROXY", "http://a.test:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(way(&cgi, "http://x.test"), None);
        assert_eq!(way(&[], "http://x.test"), None);
    }

    #[test]
    fn leaves_out_what_no_proxy_lists_and_loopback() {
        let rules = [
            ("ALL_PROXY", "http://a.test:1"),
            ("NO_PROXY", "internal.test, 10.0.0.0/8"),
        ];
        for direct in [
            "http://internal.test",
            "https://api.internal.test",
            "http://10.1.2.3:8000",
            "http://localhost:8089",
            "http://127.8.9.1:8089",
            "http://[::1]:8089",
        ] {
            assert_eq!(way(&rules, direct), None, "{direct}");
        }
        assert!(way(&rules, "http://notinternal.test").is_some());
        assert_eq!(
            way(
                &[("ALL_PROXY", "http://a.test:1"), ("no_proxy", "*")],
                "http://x.test"
            ),
            None
        );
    }

    #[test]
    fn refuses_proxies_that_it_would_have_to_ignore() {
        for value in ["socks5://a.test:1", "ftp://a.test", "http://"] {
            let error = config(&[("HTTPS_PROXY", value)]).unwrap_err();
            assert!(error.to_string().starts_with("HTTPS_PROXY "), "{error}");
        }
    }

    #[test]
    fn keeps_the_login_to_itself() {
        let config = config(&[("http_proxy", "http://me:secret@a.test:1")]).unwrap();
        let proxy = config
            .proxy_for(Target::parse("http://x.test").unwrap().origin())
            .unwrap();
        assert_eq!(proxy.login.as_ref().unwrap(), "Basic bWU6c2VjcmV0");
        assert!(!format!("{config:?} {proxy:?}").contains("secret"));
        assert!(!format!("{proxy:?}").contains("bWU6"));
    }
}
