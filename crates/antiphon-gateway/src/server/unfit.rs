//! Requests that are refused before anybody reads them.

use std::borrow::Cow;

use antiphon::{Error, ErrorKind};

/// Why a request is refused as it comes.
#[derive(Clone, Debug)]
pub(super) struct Unfit {
    status: u16,
    pub(super) what: Cow<'static, str>,
}

impl Unfit {
    /// It can be read in more than one way, or in none.
    pub(super) fn bad(what: &'static str) -> Self {
        Self {
            status: 400,
            what: what.into(),
        }
    }

    /// Its headers are too many.
    pub(super) fn too_large(what: String) -> Self {
        Self {
            status: 431,
            what: what.into(),
        }
    }

    /// Its headers did not come in time.
    pub(super) fn late() -> Self {
        Self {
            status: 408,
            what: "headers that did not come in time".into(),
        }
    }

    pub(super) fn error(&self) -> Error {
        let message = format!("the request was refused because it has {}", self.what);
        let kind = match self.status {
            408 => ErrorKind::Timeout,
            _ => ErrorKind::BadRequest,
        };
        Error::new(kind, message).with_status(self.status)
    }
}
