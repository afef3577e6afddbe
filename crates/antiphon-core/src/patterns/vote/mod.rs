//! Votes: several answers become one because most say so.
//!
//! ```text
//! Poll: question ──> voters side by side ──> Tally (rule, quorum, ties; decided early) ──> Vote
//! FieldVote: structured answers ──> each field voted by its kind ──> one value that fits the schema
//! VoteOnFields: the same, as the decider of an ensemble
//! ```
//!
//! Majority voting over samples is the self-consistency of Wang et al. 2022 (arXiv 2203.11171).

mod error;
pub mod fields;
mod on_fields;
mod poll;
mod rule;
mod tally;

pub use error::VoteError;
pub use fields::{FieldVerdict, FieldVote};
pub use on_fields::VoteOnFields;
pub use poll::{Ballot, Poll, Polled};
pub use rule::{Counting, Rule, Ties};
pub use tally::{CategoryCount, Tally, Vote};
