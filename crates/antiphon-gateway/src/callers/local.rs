//! Requests to a gateway without keys: whoever is on this machine may ask, and no page of another site may in its name.
//!
//! A browser on this machine reaches the gateway whatever page it shows. Such a page can send a question as a form would,
//! without asking first and without reading the answer, and spend the owner's money; one whose name is made to mean
//! 127.0.0.1 (DNS rebinding) could read the answer, too. Browsers say where a request comes from, and pages cannot change
//! that; other programs do not, and go on without.

use std::net::IpAddr;

use antiphon::{Error, ErrorKind};
use http::{HeaderMap, HeaderName, Method, Request, header, uri::Authority};

/// How the page that asks and the server stand to each other (W3C Fetch Metadata).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Whether a page asks, or somebody goes to one.
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The pages whose requests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Those of this very server.
    Own,
    /// Those that any server on loopback shows: whoever runs one could ask without a page, too.
    OfLoopback,
}

/// Whether this machine asks, and not another site in its browser.
///
/// # Errors
/// [`ErrorKind::Auth`] with status 403: it names another host, or comes from another site. [`ErrorKind::BadRequest`] with
/// status 415: a body of `text/plain`, which pages may send everywhere.
pub(crate) fn check<B>(request: &Request<B>, pages: Pages) -> Result<(), Error> {
    let forbid = |message: String| Err(Error::new(ErrorKind::Auth, message).with_status(403));
    // HTTP/1.0 may leave it out; browsers never do
    if has_host(request) && !names_loopback(request) {
        let message = "without [[keys]] this server is asked as 127.0.0.1, [::1] or localhost only; configure keys to ask it by another name";
        return forbid(message.to_owned());
    }
    if comes_from_elsewhere(request, pages) {
        let message = match pages {
            Pages::Own => {
                "without [[keys]] this server takes nothing from pages of other sites; configure keys, or ask from a program"
            }
            // keys would not help
            Pages::OfLoopback => {
                "this server takes nothing from pages of other sites than localhost, 127.0.0.1 and [::1]; ask from a program"
            }
        };
        return forbid(message.to_owned());
    }
    if is_plain_text(request.headers()) {
        let message = "the body is \"text/plain\": send JSON, as application/json";
        return Err(Error::new(ErrorKind::BadRequest, message).with_status(415));
    }
    Ok(())
}

fn has_host<B>(request: &Request<B>) -> bool {
    request.uri().authority().is_some() || request.headers().contains_key(header::HOST)
}

fn comes_from_elsewhere<B>(request: &Request<B>, pages: Pages) -> bool {
    let headers = request.headers();
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = std::str::from_utf8(origin.as_bytes()).ok();
        let Some((scheme, host)) = origin.and_then(|origin| origin.split_once("://")) else {
            return true;
        };
        let is_own = authority(request).is_some_and(|own| host.eq_ignore_ascii_case(own.as_str()));
        let is_taken = is_own || (pages == Pages::OfLoopback && is_page_of_loopback(scheme, host));
        return !is_taken;
    }
    let says = |name: &HeaderName, word: &str| headers.get(name).is_some_and(|value| value == word);
    // a link that leads to the dashboard is followed by a person, who sees where it led
    let is_followed = request.method() == Method::GET && says(&MODE, "navigate");
    says(&SITE, "cross-site") && !is_followed
}

fn is_page_of_loopback(scheme: &str, host: &str) -> bool {
    let is_page = matches!(scheme, "http" | "https");
    let authority = Authority::try_from(host).ok();
    // what follows the host need not be a port for it to be parsed
    let host = authority.as_ref().filter(|authority| {
        let rest = authority.as_str().strip_prefix(authority.host());
        rest.is_some_and(|rest| rest.is_empty() || authority.port_u16().is_some())
    });
    is_page && host.is_some_and(|authority| is_loopback(authority.host()))
}

fn is_plain_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()?.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/plain"))
}

/// Whom the request is to.
fn authority<B>(request: &Request<B>) -> Option<Authority> {
    let of_header = || {
        let host = request.headers().get(header::HOST)?;
        Authority::try_from(host.as_bytes()).ok()
    };
    // HTTP/2 tells it in the address
    request.uri().authority().cloned().or_else(of_header)
}

/// Whether the request is to this machine by an address or name that nobody else can have.
fn names_loopback<B>(request: &Request<B>) -> bool {
    authority(request).is_some_and(|authority| is_loopback(authority.host()))
}

fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse()
            .is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(host: &str) -> bool {
        let request = Request::get("/").header(header::HOST, host).body(());
        names_loopback(&request.unwrap())
    }

    #[test]
    fn only_this_machine_by_its_own_names_is_let_in() {
        for host in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "127.8.8.8:1",
            "localhost:8080",
            "LocalHost",
            "[::1]:8080",
            "[::1]",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert!(is_let_in(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost.",
            "127.0.0.1@evil.example",
            "user@evil.example:8080",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "0.0.0.0",
            "192.168.0.1",
            "[::]",
            "[fe80::1]",
            "",
            "localhost:8080, evil.example",
        ] {
            assert!(!is_let_in(host), "{host}");
        }
        let nameless = Request::get("/").body(()).unwrap();
        assert!(!names_loopback(&nameless));
        // of two names, what HTTP/2 says counts
        let both = Request::get("http://evil.example/").header(header::HOST, "localhost");
        assert!(!names_loopback(&both.body(()).unwrap()));
    }

    fn status_of(method: &str, pairs: &[(&str, &str)]) -> Option<u16> {
        status_where(Pages::Own, method, pairs)
    }

    fn status_where(pages: Pages, method: &str, pairs: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder()
            .method(method)
            .uri("/v1/chat/completions");
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        let checked = check(&request.body(()).unwrap(), pages);
        checked.err().and_then(|error| error.status())
    }

    #[test]
    fn programs_and_the_gateways_own_page_are_let_in() {
        let host = ("host", "127.0.0.1:8080");
        for pairs in [
            &[][..],
            &[host],
            &[
                ("host", "localhost:1"),
                ("content-type", "application/json"),
            ],
            &[
                host,
                ("origin", "http://127.0.0.1:8080"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[("host", "[::1]"), ("origin", "http://[::1]")],
            &[
                host,
                ("sec-fetch-site", "none"),
                ("sec-fetch-mode", "navigate"),
            ],
        ] {
            assert_eq!(status_of("POST", pairs), None, "{pairs:?}");
        }
        let followed = [
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert_eq!(status_of("GET", &followed), None);
        // a form is sent by going to its page
        assert_eq!(status_of("POST", &followed), Some(403));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let host = ("host", "127.0.0.1:8080");
        for pairs in [
            &[("host", "evil.example")][..],
            &[("host", "evil.example"), ("origin", "http://evil.example")],
            &[host, ("origin", "https://evil.example")],
            &[host, ("origin", "http://127.0.0.1:3000")],
            &[host, ("origin", "http://localhost:8080")],
            &[host, ("origin", "http://127.0.0.1:8080.evil.example")],
            &[host, ("origin", "null")],
            &[host, ("origin", "")],
            &[host, ("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(status_of("POST", pairs), Some(403), "{pairs:?}");
        }
        for kind in ["text/plain", "Text/Plain;charset=UTF-8"] {
            assert_eq!(
                status_of("POST", &[host, ("content-type", kind)]),
                Some(415)
            );
        }
    }
    #[test]
    fn pages_of_loopback_are_let_in_where_they_may_ask() {
        let let_in = |origin| {
            let pairs = [("host", "127.0.0.1:8080"), ("origin", origin)];
            status_where(Pages::OfLoopback, "POST", &pairs).is_none()
        };
        for origin in [
            "http://127.0.0.1:8080",
            "http://localhost:6274",
            "http://localhost",
            "https://localhost:8443",
            "http://[::1]:3000",
        ] {
            assert!(let_in(origin), "{origin}");
        }
        for origin in [
            "http://evil.example",
            "http://localhost.evil.example:6274",
            "http://localhost:6274@evil.example",
            "http://127.0.0.1:8080.evil.example",
            "app://localhost",
            "localhost",
            "null",
            "",
        ] {
            assert!(!let_in(origin), "{origin}");
        }
    }
}
