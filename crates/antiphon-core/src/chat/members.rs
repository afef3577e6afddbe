//! What stands behind an answer that several calls made together.

use serde::{Deserialize, Serialize};

use crate::{Error, Spent, Usage, Usd};

/// One of the calls behind an answer: a member of an ensemble, a sample, or the decider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The model that answered, `provider/model`.
    pub model: String,
    /// Its answer's text; `None` where it failed.
    pub text: Option<String>,
    /// Tokens of all its answered attempts; `None` where nothing is known.
    pub usage: Option<Usage>,
    /// What they cost in US dollars; `None` while unknown, never 0.
    pub cost_usd: Option<Usd>,
    /// Why it has no answer.
    pub error: Option<MemberError>,
}

impl Member {
    /// A member that gave this answer.
    pub fn answered(model: &str, text: Option<String>, spent: Spent) -> Self {
        Self {
            text,
            ..Self::silent(model, None).having(spent)
        }
    }

    /// A member that failed, with what its attempts have used.
    pub fn failed(model: &str, error: &Error) -> Self {
        Self::silent(model, Some(error.into())).having(error.spent())
    }

    /// A member that was not asked, or whose call was dropped: what it has used is not known.
    pub fn cancelled(model: &str, why: impl Into<String>) -> Self {
        let error = MemberError {
            code: CANCELLED.to_owned(),
            message: why.into(),
        };
        Self::silent(model, Some(error))
    }

    fn having(self, spent: Spent) -> Self {
        Self {
            usage: spent.usage(),
            cost_usd: spent.cost(),
            ..self
        }
    }

    fn silent(model: &str, error: Option<MemberError>) -> Self {
        Self {
            model: model.to_owned(),
            text: None,
            usage: None,
            cost_usd: None,
            error,
        }
    }
}

/// The code of members whose answer was no longer needed.
const CANCELLED: &str = "cancelled";

/// Why a member has no answer, in the words of the output file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberError {
    /// The code of [`ErrorKind`](crate::ErrorKind); `cancelled` where its answer was no longer needed.
    pub code: String,
    /// What happened.
    pub message: String,
}

impl MemberError {
    /// Whether the answer was no longer needed.
    pub fn is_cancelled(&self) -> bool {
        self.code == CANCELLED
    }
}

impl From<&Error> for MemberError {
    fn from(error: &Error) -> Self {
        Self {
            code: error.kind().code().to_owned(),
            message: error.message().to_owned(),
        }
    }
}

/// How an answer was made of its members' answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Who decided: `decide`, `judge`, `synthesize`, `vote`; `sole` where only one member answered; `first` where the
    /// decision failed and the first answer was taken; `race` for the first of several; `fallback` where earlier models had
    /// failed; `rescue` where all had and a text of the user's stands in.
    pub by: String,
    /// The members (from 0) whose answers are in the result; empty where the decider does not say.
    pub from: Vec<usize>,
    /// The decider's reason, where it gives one.
    pub reason: Option<String>,
    /// Why the decision itself failed, where it did.
    pub failure: Option<String>,
    /// The decider's own call, where one was made.
    pub decider: Option<Member>,
    /// Members that a vote did not wait for, because its outcome was certain; absent in JSON where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub calls_saved: u32,
}

fn is_zero(calls: &u32) -> bool {
    *calls == 0
}

/// The members behind an answer, in their order, and how they became one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gathered {
    /// The members.
    pub members: Vec<Member>,
    /// How their answers became one; `None` where they stand side by side (samples).
    pub decision: Option<Decision>,
}
