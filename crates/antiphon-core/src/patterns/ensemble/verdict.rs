//! [`Candidate`]s, and the [`Verdict`] about them.

use serde_json::Value;

use crate::{
    Error, FinishReason, Schema,
    chat::{Reply, ToolCall},
};

/// A member's answer, up for decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The member, from 0.
    pub member: usize,
    /// Its answer: JSON text in the user's form where a schema was asked for. Never with the reasoning.
    pub text: String,
    /// The same as a value, where a schema was asked for.
    pub value: Option<Value>,
    /// What it wrote before the answer, where that was asked for.
    pub reasoning: Option<String>,
    /// Tools it wants called.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

impl Candidate {
    pub(super) fn of(member: usize, reply: &Reply, text: String) -> Self {
        Self {
            member,
            text,
            value: None,
            reasoning: None,
            tool_calls: reply.answer.tool_calls.clone(),
            finish_reason: reply.answer.finish_reason.clone(),
        }
    }
}

/// The answer that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Chosen {
    /// The answer of this member (from 0), as it stands.
    Member(usize),
    /// A new one, made of several: a value of the user's schema, or a string where answers are text.
    Made(Value),
}

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The answer.
    pub chosen: Chosen,
    /// The members (from 0) whose answers are in it; empty where nobody can say.
    pub from: Vec<usize>,
    /// Why.
    pub reason: Option<String>,
}

/// Decides without asking a model: votes. `schema` is always the user's, where there is one.
pub trait Decide: Send + Sync + std::fmt::Debug {
    /// Whether answers of this schema can be decided about at all; asked before any call is made.
    ///
    /// # Errors
    /// They cannot: the call fails with this error, and nothing is paid.
    fn check(&self, schema: Option<&Schema>) -> Result<(), Error> {
        let _ = schema;
        Ok(())
    }

    /// Decides between at least two candidates, in the order of their members; of one only if [`Self::is_settled`] said
    /// that it is enough.
    ///
    /// # Errors
    /// These candidates cannot be decided about; the message says why.
    fn decide(&self, candidates: &[Candidate], schema: Option<&Schema>) -> Result<Verdict, Error>;

    /// Whether [`Self::decide`] chooses the same answer whatever the members in `open` still say, and also if some or all of
    /// them fail. Then they are not waited for. `done` are the candidates so far, at least one, in the order of their
    /// members.
    fn is_settled(&self, done: &[Candidate], open: &[usize], schema: Option<&Schema>) -> bool {
        let _ = (done, open, schema);
        false
    }
}
