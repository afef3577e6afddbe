//! [`VoteError`]: a vote that cannot be held, found before any call is made.

use std::fmt;

use crate::{Error, ErrorKind};

/// Why a vote cannot be held or a ballot cannot be counted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum VoteError {
    /// There is nobody to ask.
    NoVoters,
    /// There is nothing to choose from.
    NoCategories,
    /// A category stands in the list twice.
    DuplicateCategory(String),
    /// The quorum is larger than the number of voters.
    QuorumOutOfReach {
        /// Votes that are needed.
        quorum: usize,
        /// Voters that there are.
        voters: usize,
    },
    /// No voter has this number.
    UnknownVoter {
        /// The number, from 0.
        voter: usize,
        /// Voters that there are.
        voters: usize,
    },
    /// This voter has voted or abstained before.
    VotedTwice(usize),
    /// No category has this number.
    UnknownCategory {
        /// The number, from 0.
        category: usize,
        /// Categories that there are.
        categories: usize,
    },
    /// A confidence that is not within 0 to 1.
    BadConfidence(f64),
    /// A tolerance that is negative or no number.
    BadTolerance(f64),
    /// A share for sets that is not above 0 and at most 1.
    BadShare(f64),
    /// A field to vote on that the schema does not name.
    UnknownField {
        /// The field.
        name: String,
        /// Those of the schema.
        known: Vec<String>,
    },
    /// Fields are to be voted on, and the request has no schema that names any.
    NoSchema {
        /// The fields.
        fields: Vec<String>,
    },
    /// There is no answer to vote on.
    NoCandidates,
    /// No answer fits the schema.
    NoValidCandidate {
        /// Each answer's number and what does not fit.
        faults: Vec<(usize, String)>,
    },
}

impl fmt::Display for VoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVoters => f.write_str("a vote needs at least one voter: name a model"),
            Self::NoCategories => f.write_str("a vote needs at least one category to choose from"),
            Self::DuplicateCategory(name) => {
                write!(
                    f,
                    "the category `{name}` is listed twice: name each one once"
                )
            }
            Self::QuorumOutOfReach { quorum, voters } => write!(
                f,
                "a quorum of {quorum} cannot be reached by {voters} voters: lower it or add voters"
            ),
            Self::UnknownVoter { voter, voters } => {
                write!(
                    f,
                    "no voter has the number {voter}: there are {voters}, from 0"
                )
            }
            Self::VotedTwice(voter) => write!(f, "voter {voter} has voted or abstained before"),
            Self::UnknownCategory {
                category,
                categories,
            } => write!(
                f,
                "no category has the number {category}: there are {categories}, from 0"
            ),
            Self::BadConfidence(value) => {
                write!(f, "the confidence {value} is not within 0 to 1")
            }
            Self::BadTolerance(value) => {
                write!(f, "the tolerance {value} is not a number of at least 0")
            }
            Self::BadShare(value) => {
                write!(f, "the share {value} is not above 0 and at most 1")
            }
            Self::UnknownField { name, known } => write!(
                f,
                "the schema has no field `{name}` to vote on: it has {}",
                known.join(", ")
            ),
            Self::NoSchema { fields } => write!(
                f,
                "the request has no schema whose fields could be voted on ({}): give it one, or vote on whole answers",
                fields.join(", ")
            ),
            Self::NoCandidates => f.write_str("there is no answer to vote on"),
            Self::NoValidCandidate { faults } => {
                f.write_str("no answer fits the schema: ")?;
                for (place, (candidate, fault)) in faults.iter().enumerate() {
                    let between = if place == 0 { "" } else { "; " };
                    write!(f, "{between}answer {candidate}: {fault}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for VoteError {}

/// [`ErrorKind::OffSchema`] where it is the answers that cannot be voted on, else [`ErrorKind::BadRequest`].
impl From<VoteError> for Error {
    fn from(error: VoteError) -> Self {
        let kind = match error {
            VoteError::NoCandidates | VoteError::NoValidCandidate { .. } => ErrorKind::OffSchema,
            _ => ErrorKind::BadRequest,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}
