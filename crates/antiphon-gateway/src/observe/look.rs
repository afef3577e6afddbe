//! Who may look at what the gateway does: metrics and the dashboard.

use antiphon::Error;
use http::HeaderMap;

use crate::Running;

/// Whether this request may see what all callers do. Without keys everybody may who reaches the server.
///
/// # Errors
/// As [`Callers::identify`](crate::caller::Callers::identify).
pub(crate) fn may_look(running: &Running, headers: &HeaderMap) -> Result<(), Error> {
    match running.callers.use_keys() {
        true => running.callers.identify(headers).map(drop),
        false => Ok(()),
    }
}
