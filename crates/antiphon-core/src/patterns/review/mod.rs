//! [`ReviewPanel`]: several reviewers, each with a role, and what they say together.

mod aggregate;
mod error;
mod panel;
mod prompts;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use aggregate::{Aggregate, Point};
pub use error::ReviewError;
pub use panel::{PanelReview, ReviewPanel, Role, RoleReview};

/// What should be done with the thing under review, the kindest first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Recommendation {
    /// Take it as it is.
    Approve,
    /// Take it after changes.
    Revise,
    /// Do not take it.
    Reject,
}

/// One reviewer's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Review {
    /// From 1 (useless) to 10 (excellent).
    #[schemars(range(min = 1, max = 10))]
    pub score: u8,
    /// What is good about it.
    pub strengths: Vec<String>,
    /// What is wrong with it.
    pub weaknesses: Vec<String>,
    /// What should be done with it.
    pub recommendation: Recommendation,
}

/// One review made of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Synthesis {
    /// The judgement in a few sentences.
    pub summary: String,
    /// From 1 (useless) to 10 (excellent).
    #[schemars(range(min = 1, max = 10))]
    pub score: u8,
    /// What is good about it, each point once.
    pub strengths: Vec<String>,
    /// What is wrong with it, each point once, the worst first.
    pub weaknesses: Vec<String>,
    /// What should be done with it.
    pub recommendation: Recommendation,
}
