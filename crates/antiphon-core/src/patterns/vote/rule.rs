//! [`Rule`]: how ballots become a winner.

/// How much a vote weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// Each vote weighs one: most votes win.
    #[default]
    Majority,
    /// A vote weighs its confidence, 0 to 1: the largest sum wins.
    ByConfidence,
}

/// Who wins when several categories have the same weight. None of the rules looks at who answered first, so the result
/// does not depend on who was fastest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// The category whose first vote, by the voters' numbers, came from the lowest-numbered voter.
    #[default]
    EarliestVoter,
    /// The category that was listed first.
    FirstCategory,
    /// Nobody.
    NoWinner,
}

/// How ballots become a winner. The winner is the category of the largest weight among those with a vote; an absolute
/// majority is not needed.
///
/// ```
/// use antiphon_core::patterns::vote::{Rule, Ties};
/// let rule = Rule::by_confidence().with_quorum(3).with_ties(Ties::NoWinner);
/// # let _ = rule;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub(super) counting: Counting,
    pub(super) quorum: usize,
    pub(super) ties: Ties,
}

impl Rule {
    /// Most votes win.
    pub fn majority() -> Self {
        Self::default()
    }

    /// The largest sum of confidences wins.
    pub fn by_confidence() -> Self {
        Self {
            counting: Counting::ByConfidence,
            ..Self::default()
        }
    }

    /// With the least number of votes that must be cast for there to be a winner; abstentions do not count. 0 and 1 both
    /// ask for one vote.
    #[must_use]
    pub fn with_quorum(mut self, votes: usize) -> Self {
        self.quorum = votes;
        self
    }

    /// With another rule for ties.
    #[must_use]
    pub fn with_ties(mut self, ties: Ties) -> Self {
        self.ties = ties;
        self
    }
}
