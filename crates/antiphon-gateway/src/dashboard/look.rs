//! Who may look at what all callers do.

use antiphon::{Error, ErrorKind};
use http::Request;

use crate::{Running, callers::names_loopback};

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
    let caller = running.callers.identify_reader(request.headers())?;
    let refuse = |message| Err(Error::new(ErrorKind::Auth, message).with_status(403));
    match caller.name() {
        None if names_loopback(request) => Ok(()),
        None => refuse(
            "the dashboard is at 127.0.0.1, [::1] and localhost only, as no keys are configured",
        ),
        Some(_) if caller.is_admin() => Ok(()),
        Some(_) => refuse("the dashboard takes the key of an admin"),
    }
}
