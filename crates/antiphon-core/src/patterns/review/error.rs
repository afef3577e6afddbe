//! [`ReviewError`]: why there is no review.

use std::fmt;

use super::{super::asking::Expense, panel::RoleReview};
use crate::Error;

/// Why there is no review.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReviewError {
    /// Nobody reviews.
    NoRoles,
    /// A role has no name.
    UnnamedRole(usize),
    /// Two roles have the same name.
    SameRole(String),
    /// There is nothing to review.
    Blank(String),
    /// Every reviewer failed: the outcomes, and what they took.
    AllFailed(Vec<RoleReview>, Box<Expense>),
    /// A call was given up on this side, or an answer could not be recorded ([`ErrorKind::is_given_up`]): why, the outcomes,
    /// and what they took.
    ///
    /// [`ErrorKind::is_given_up`]: crate::ErrorKind::is_given_up
    GivenUp(Error, Vec<RoleReview>, Box<Expense>),
}

impl fmt::Display for ReviewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoles => f.write_str("nobody reviews: give at least one role"),
            Self::UnnamedRole(index) => write!(f, "role {index} has no name: give it one"),
            Self::SameRole(name) => write!(
                f,
                "two roles are called `{name}`: outcomes are told by role, so names must differ"
            ),
            Self::Blank(id) => write!(f, "`{id}` is empty: there is nothing to review"),
            Self::GivenUp(error, _, _) => write!(f, "the review was given up: {error}"),
            Self::AllFailed(reviews, _) => {
                let failed = reviews.iter().filter_map(|review| {
                    let error = review.outcome.as_ref().err()?;
                    Some(format!("{}: {}: {error}", review.role, error.kind()))
                });
                let told: Vec<String> = failed.collect();
                write!(
                    f,
                    "all {} reviewers failed: {}",
                    told.len(),
                    told.join("; ")
                )
            }
        }
    }
}

impl std::error::Error for ReviewError {}

impl ReviewError {
    /// The outcomes of the roles; none where nobody was asked.
    pub fn reviews(&self) -> &[RoleReview] {
        match self {
            Self::AllFailed(reviews, _) | Self::GivenUp(_, reviews, _) => reviews,
            _ => &[],
        }
    }

    /// What all calls together took.
    pub fn spent(&self) -> Expense {
        match self {
            Self::AllFailed(_, spent) | Self::GivenUp(_, _, spent) => **spent,
            _ => Expense::default(),
        }
    }
}
