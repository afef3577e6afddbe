//! [`Tally`]: counts ballots as they come and knows when more cannot change the outcome. A plain machine: no time, no
//! calls.

use serde::Serialize;

use super::{Counting, Rule, Ties, VoteError};

/// Confidences are counted in billionths, so that sums are exact and the same in whatever order votes come.
const WHOLE: u64 = 1_000_000_000;

/// What became of a vote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Vote {
    /// The category that won; `None` without a quorum, or in a tie that has no winner.
    pub winner: Option<String>,
    /// Mean confidence (0 to 1) of the winner's voters; `None` where nobody won.
    pub confidence: Option<f64>,
    /// Whether enough votes were cast.
    pub quorum_reached: bool,
    /// Votes by category, in the order in which the categories were given.
    pub votes: Vec<CategoryCount>,
    /// Voters who gave no valid vote: their call failed, or their answer did not fit.
    pub abstentions: usize,
    /// Voters whose answer was not waited for, because it could not change the outcome.
    pub calls_saved: usize,
}

/// The votes for one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CategoryCount {
    /// The category.
    pub category: String,
    /// Votes for it.
    pub votes: usize,
    /// What they weigh together: their number, or the sum of their confidences.
    pub weight: f64,
}

/// Counts ballots.
///
/// The **outcome** is the winner and whether the quorum is reached. [`Self::is_decided`] is about the outcome alone:
/// counts and the winner's mean confidence can still move with votes that were not waited for.
///
/// ```
/// use antiphon_core::patterns::vote::{Rule, Tally};
/// let mut tally = Tally::new(["yes", "no"], 5, Rule::majority()).unwrap();
/// for voter in [4, 0, 2] {
///     tally.cast(voter, 0, 0.9).unwrap();
/// }
/// assert!(tally.is_decided());
/// let vote = tally.vote();
/// assert_eq!((vote.winner.as_deref(), vote.calls_saved), (Some("yes"), 2));
/// ```
#[derive(Clone, Debug)]
pub struct Tally {
    rule: Rule,
    categories: Vec<String>,
    counts: Vec<Count>,
    /// Which voters have neither voted nor abstained.
    open: Vec<bool>,
    abstentions: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    votes: usize,
    /// In billionths.
    confidence: u64,
    first_voter: Option<usize>,
}

impl Tally {
    /// An empty tally for voters numbered from 0.
    ///
    /// # Errors
    /// No voters, no categories, a category that is listed twice, a quorum beyond the number of voters.
    pub fn new<C: Into<String>>(
        categories: impl IntoIterator<Item = C>,
        voters: usize,
        rule: Rule,
    ) -> Result<Self, VoteError> {
        let categories: Vec<String> = categories.into_iter().map(Into::into).collect();
        if voters == 0 {
            return Err(VoteError::NoVoters);
        }
        if categories.is_empty() {
            return Err(VoteError::NoCategories);
        }
        for (at, name) in categories.iter().enumerate() {
            if categories[..at].contains(name) {
                return Err(VoteError::DuplicateCategory(name.clone()));
            }
        }
        if rule.quorum > voters {
            let quorum = rule.quorum;
            return Err(VoteError::QuorumOutOfReach { quorum, voters });
        }
        Ok(Self {
            rule,
            counts: vec![Count::default(); categories.len()],
            categories,
            open: vec![true; voters],
            abstentions: 0,
        })
    }

    /// Counts a vote; `confidence` is 0 to 1.
    ///
    /// # Errors
    /// An unknown voter or category, a second vote, a confidence out of its bounds. Nothing is counted then.
    pub fn cast(
        &mut self,
        voter: usize,
        category: usize,
        confidence: f64,
    ) -> Result<(), VoteError> {
        if category >= self.counts.len() {
            let categories = self.counts.len();
            return Err(VoteError::UnknownCategory {
                category,
                categories,
            });
        }
        if !(0.0..=1.0).contains(&confidence) {
            return Err(VoteError::BadConfidence(confidence));
        }
        self.close(voter)?;
        let count = &mut self.counts[category];
        count.votes += 1;
        count.confidence += (confidence * WHOLE as f64).round() as u64;
        count.first_voter = Some(count.first_voter.map_or(voter, |first| first.min(voter)));
        Ok(())
    }

    /// Counts a voter who has no valid vote.
    ///
    /// # Errors
    /// An unknown voter, or one who has voted or abstained before.
    pub fn abstain(&mut self, voter: usize) -> Result<(), VoteError> {
        self.close(voter)?;
        self.abstentions += 1;
        Ok(())
    }

    fn close(&mut self, voter: usize) -> Result<(), VoteError> {
        let voters = self.open.len();
        match self.open.get_mut(voter) {
            None => Err(VoteError::UnknownVoter { voter, voters }),
            Some(false) => Err(VoteError::VotedTwice(voter)),
            Some(open) => {
                *open = false;
                Ok(())
            }
        }
    }

    /// Voters who have neither voted nor abstained.
    pub fn open(&self) -> usize {
        self.open.iter().filter(|open| **open).count()
    }

    /// Whether no votes or abstentions of the open voters can change the outcome. Exact: it is true as soon as all
    /// completions agree, and never before.
    pub fn is_decided(&self) -> bool {
        let open = self.open();
        if open == 0 || self.cast_votes() + open < self.quorum() {
            return true;
        }
        if !self.quorum_reached() {
            // all of them may abstain, and all of them may vote
            return false;
        }
        // the quorum asks for a vote, so without a winner there is a tie, which one more vote breaks
        let Some(winner) = self.winner() else {
            return false;
        };
        (0..self.counts.len()).all(|rival| rival == winner || !self.may_overtake(rival, winner))
    }

    /// Whether the outcome differs from `winner` when the open voters do for `rival` what they can.
    fn may_overtake(&self, rival: usize, winner: usize) -> bool {
        let best = self.weight(rival) + self.open() as u64 * WHOLE;
        match best.cmp(&self.weight(winner)) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => match self.rule.ties {
                Ties::NoWinner => true,
                Ties::FirstCategory => rival < winner,
                Ties::EarliestVoter => {
                    let earliest_open = self.open.iter().position(|open| *open);
                    let first = earliest(self.counts[rival].first_voter, earliest_open);
                    first < self.counts[winner].first_voter
                }
            },
        }
    }

    /// The vote as it stands; voters who are still open are the calls saved.
    pub fn vote(&self) -> Vote {
        let winner = self.winner();
        let unit = WHOLE as f64;
        Vote {
            winner: winner.map(|winner| self.categories[winner].clone()),
            confidence: winner.map(|winner| {
                let count = &self.counts[winner];
                count.confidence as f64 / unit / count.votes as f64
            }),
            quorum_reached: self.quorum_reached(),
            votes: (0..self.counts.len())
                .map(|at| CategoryCount {
                    category: self.categories[at].clone(),
                    votes: self.counts[at].votes,
                    weight: self.weight(at) as f64 / unit,
                })
                .collect(),
            abstentions: self.abstentions,
            calls_saved: self.open(),
        }
    }

    /// The winner if no further vote came.
    fn winner(&self) -> Option<usize> {
        if !self.quorum_reached() {
            return None;
        }
        let voted_for = |at: &usize| self.counts[*at].votes > 0;
        let most = (0..self.counts.len())
            .filter(voted_for)
            .map(|at| self.weight(at))
            .max()?;
        let mut best = (0..self.counts.len())
            .filter(voted_for)
            .filter(|at| self.weight(*at) == most);
        match self.rule.ties {
            Ties::EarliestVoter => best.min_by_key(|at| self.counts[*at].first_voter),
            Ties::FirstCategory => best.next(),
            Ties::NoWinner => best.next().filter(|_| best.next().is_none()),
        }
    }

    /// In billionths.
    fn weight(&self, category: usize) -> u64 {
        let count = &self.counts[category];
        match self.rule.counting {
            Counting::Majority => count.votes as u64 * WHOLE,
            Counting::ByConfidence => count.confidence,
        }
    }

    fn cast_votes(&self) -> usize {
        self.counts.iter().map(|count| count.votes).sum()
    }

    fn quorum(&self) -> usize {
        self.rule.quorum.max(1)
    }

    fn quorum_reached(&self) -> bool {
        self.cast_votes() >= self.quorum()
    }
}

fn earliest(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
