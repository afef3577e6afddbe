//! [`NoModels`]: a pattern that was given nothing to combine.

use std::fmt;

use crate::{Error, ErrorKind};

/// A pattern over models was given none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoModels {
    /// The name of the model that was to be made.
    pub name: String,
}

impl fmt::Display for NoModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` combines no models: name at least one", self.name)
    }
}

impl std::error::Error for NoModels {}

impl From<NoModels> for Error {
    fn from(error: NoModels) -> Self {
        Self::new(ErrorKind::BadRequest, error.to_string()).with_source(error)
    }
}
