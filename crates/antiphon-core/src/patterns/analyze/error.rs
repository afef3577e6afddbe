//! [`InvalidKind`]: an analysis that asks for nothing.

use std::fmt;

use crate::{Error, ErrorKind};

/// An analysis that cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKind {
    /// Nothing to extract.
    NoFields,
    /// Nothing to choose from.
    NoCategories,
    /// A field or category without a name.
    Unnamed {
        /// `field` or `category`.
        what: &'static str,
        /// Its place in the list.
        index: usize,
    },
    /// A field or category that is given twice.
    Twice {
        /// `field` or `category`.
        what: &'static str,
        /// Its name.
        name: String,
    },
}

impl fmt::Display for InvalidKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFields => f.write_str("there is nothing to extract: name at least one field"),
            Self::NoCategories => {
                f.write_str("there is nothing to choose from: name at least one category")
            }
            Self::Unnamed { what, index } => {
                write!(f, "{what} {index} has no name: give it one or leave it out")
            }
            Self::Twice { what, name } => {
                write!(f, "the {what} `{name}` is given twice: name it once")
            }
        }
    }
}

impl std::error::Error for InvalidKind {}

impl From<InvalidKind> for Error {
    fn from(error: InvalidKind) -> Self {
        Self::new(ErrorKind::BadRequest, error.to_string()).with_source(error)
    }
}

/// The names, trimmed, each there and there once.
pub(super) fn checked_names(
    what: &'static str,
    names: impl IntoIterator<Item = impl Into<String>>,
) -> Result<Vec<String>, InvalidKind> {
    let mut checked: Vec<String> = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let name = name.into().trim().to_owned();
        if name.is_empty() {
            return Err(InvalidKind::Unnamed { what, index });
        }
        if checked.contains(&name) {
            return Err(InvalidKind::Twice { what, name });
        }
        checked.push(name);
    }
    Ok(checked)
}
