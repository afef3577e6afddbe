//! Who may look at what all callers do.

use std::net::IpAddr;

use antiphon::{Error, ErrorKind};
use http::{Request, header, uri::Authority};

use crate::Running;

/// Whether this request may see the numbers.
///
/// Without keys everybody may who reaches the server, which then listens on loopback only. The pages of other sites must
/// not be among them: a site whose name is made to mean 127.0.0.1 (DNS rebinding) could read the page as its own, so the
/// request has to name the gateway by an address of loopback or as `localhost`. With keys the key is what protects, and
/// the gateway may have any name.
///
/// # Errors
/// [`ErrorKind::Auth`]: no key, or one that is no admin's (403), or another host (403).
pub(super) fn may_look<B>(running: &Running, request: &Request<B>) -> Result<(), Error> {
    let caller = running.callers.identify(request.headers())?;
    let refuse = |message| Err(Error::new(ErrorKind::Auth, message).with_status(403));
    match caller.name() {
        None if names_loopback(request) => Ok(()),
        None => refuse(
            "the dashboard is at 127.0.0.1, [::1] and localhost only, as no keys are configured",
        ),
        Some(_) => refuse("the dashboard takes the key of an admin"),
    }
}

/// Whether the request is to this machine by an address or name that nobody else can have.
pub(super) fn names_loopback<B>(request: &Request<B>) -> bool {
    let of_header = || {
        let host = request.headers().get(header::HOST)?;
        Authority::try_from(host.as_bytes()).ok()
    };
    // HTTP/2 tells it in the address
    let authority = request.uri().authority().cloned().or_else(of_header);
    authority.is_some_and(|authority| is_loopback(authority.host()))
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
}
