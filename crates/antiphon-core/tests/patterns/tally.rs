//! The early-stopped vote is the full vote, and it stops as early as anything can.

use antiphon_core::patterns::vote::{Rule, Tally, Ties, VoteError};
use proptest::prelude::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A category and a confidence in quarters; `None` abstains.
type Said = Option<(usize, u8)>;

#[derive(Clone, Debug)]
struct Case {
    categories: usize,
    weighted: bool,
    quorum: usize,
    ties: Ties,
    said: Vec<Said>,
    /// Voters in the order in which their answers come.
    arrival: Vec<usize>,
}

impl Case {
    fn tally(&self) -> Tally {
        let rule = if self.weighted {
            Rule::by_confidence()
        } else {
            Rule::majority()
        };
        let rule = rule.with_quorum(self.quorum).with_ties(self.ties);
        Tally::new(NAMES[..self.categories].to_vec(), self.said.len(), rule).unwrap()
    }

    /// The outcome by the words of the rule, for all voters at once.
    fn outcome(&self, said: &[Said]) -> (Option<&'static str>, bool) {
        let voters = |category: usize| {
            let said = said.iter().enumerate();
            said.filter_map(move |(voter, said)| {
                said.filter(|(at, _)| *at == category)
                    .map(|(_, quarters)| (voter, quarters))
            })
        };
        let weight = |category: usize| -> u32 {
            let votes = voters(category);
            votes
                .map(|(_, quarters)| {
                    if self.weighted {
                        u32::from(quarters)
                    } else {
                        4
                    }
                })
                .sum()
        };
        let cast = said.iter().flatten().count();
        let reached = cast >= self.quorum.max(1);
        let chosen: Vec<usize> = (0..self.categories)
            .filter(|category| voters(*category).next().is_some())
            .collect();
        let most = chosen.iter().map(|category| weight(*category)).max();
        let best: Vec<usize> = chosen
            .into_iter()
            .filter(|category| Some(weight(*category)) == most)
            .collect();
        let winner = match (self.ties, &best[..]) {
            _ if !reached => None,
            (_, []) => None,
            (Ties::FirstCategory, [first, ..]) | (_, [first]) => Some(*first),
            (Ties::NoWinner, _) => None,
            (Ties::EarliestVoter, best) => best
                .iter()
                .copied()
                .min_by_key(|category| voters(*category).next()),
        };
        (winner.map(|winner| NAMES[winner]), reached)
    }
}

fn cases(most_voters: usize, most_categories: usize) -> impl Strategy<Value = Case> {
    let shape = (1..=most_voters, 1..=most_categories);
    shape.prop_flat_map(|(voters, categories)| {
        let said = prop_oneof![
            1 => Just(None),
            6 => (0..categories, 0u8..=4).prop_map(Some),
        ];
        (
            any::<bool>(),
            0..=voters,
            prop_oneof![
                Just(Ties::EarliestVoter),
                Just(Ties::FirstCategory),
                Just(Ties::NoWinner)
            ],
            prop::collection::vec(said, voters),
            Just((0..voters).collect::<Vec<_>>()).prop_shuffle(),
        )
            .prop_map(move |(weighted, quorum, ties, said, arrival)| Case {
                categories,
                weighted,
                quorum,
                ties,
                said,
                arrival,
            })
    })
}

fn count(tally: &mut Tally, voter: usize, said: Said) {
    match said {
        Some((category, quarters)) => tally.cast(voter, category, f64::from(quarters) / 4.0),
        None => tally.abstain(voter),
    }
    .unwrap();
}

/// All that open voters can do; between no confidence and full confidence nothing new can happen.
fn completions(case: &Case, known: &[Option<Said>]) -> Vec<Vec<Said>> {
    let mut all = vec![Vec::new()];
    for said in known {
        let options: Vec<Said> = match said {
            Some(said) => vec![*said],
            None => {
                let votes = (0..case.categories).flat_map(|at| [Some((at, 0)), Some((at, 4))]);
                votes.chain([None]).collect()
            }
        };
        all = all
            .into_iter()
            .flat_map(|begun| {
                options.iter().map(move |option| {
                    let mut longer = begun.clone();
                    longer.push(*option);
                    longer
                })
            })
            .collect();
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_vote_that_stops_early_is_the_full_vote(case in cases(12, 4)) {
        let mut tally = case.tally();
        let mut early = None;
        for (heard, &voter) in case.arrival.iter().enumerate() {
            if early.is_none() && tally.is_decided() {
                early = Some((tally.vote(), case.said.len() - heard));
            }
            count(&mut tally, voter, case.said[voter]);
        }
        let full = tally.vote();
        let expected = case.outcome(&case.said);
        prop_assert_eq!((full.winner.as_deref(), full.quorum_reached), expected);
        prop_assert!(tally.is_decided());
        prop_assert_eq!(full.calls_saved, 0);
        if let Some((early, open)) = early {
            prop_assert_eq!((early.winner.as_deref(), early.quorum_reached), expected);
            prop_assert_eq!(early.calls_saved, open);
        }
        // nothing depends on who was fastest, the bits of the confidence included
        let mut by_number = case.tally();
        for (voter, said) in case.said.iter().enumerate() {
            count(&mut by_number, voter, *said);
        }
        prop_assert_eq!(by_number.vote(), full);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn it_stops_exactly_when_all_completions_agree(case in cases(5, 3)) {
        let mut tally = case.tally();
        let mut known: Vec<Option<Said>> = vec![None; case.said.len()];
        for &voter in &case.arrival {
            let open = known.iter().filter(|said| said.is_none()).count();
            if open <= 4 {
                let outcomes: Vec<_> = completions(&case, &known)
                    .iter()
                    .map(|said| case.outcome(said))
                    .collect();
                let agree = outcomes.iter().all(|outcome| *outcome == outcomes[0]);
                prop_assert_eq!(tally.is_decided(), agree, "{:?}", known);
            }
            count(&mut tally, voter, case.said[voter]);
            known[voter] = Some(case.said[voter]);
        }
    }
}

#[test]
fn confidence_is_that_of_the_winners_voters() {
    let mut tally = Tally::new(["a", "b"], 4, Rule::by_confidence()).unwrap();
    tally.cast(0, 0, 0.3).unwrap();
    tally.cast(1, 0, 0.4).unwrap();
    tally.cast(2, 1, 0.9).unwrap();
    tally.abstain(3).unwrap();
    let vote = tally.vote();
    assert_eq!(vote.winner.as_deref(), Some("b"), "0.9 outweighs 0.3 + 0.4");
    assert_eq!((vote.confidence, vote.abstentions), (Some(0.9), 1));
    let counts: Vec<_> = vote
        .votes
        .iter()
        .map(|count| (count.category.as_str(), count.votes, count.weight))
        .collect();
    assert_eq!(counts, [("a", 2, 0.7), ("b", 1, 0.9)]);
}

#[test]
fn bad_votes_are_refused_with_words_to_act_on() {
    let none: [&str; 0] = [];
    let rule = Rule::majority();
    for (tally, message) in [
        (
            Tally::new(["a"], 0, rule),
            "a vote needs at least one voter: name a model",
        ),
        (
            Tally::new(none, 3, rule),
            "a vote needs at least one category to choose from",
        ),
        (
            Tally::new(["a", "b", "a"], 3, rule),
            "the category `a` is listed twice: name each one once",
        ),
        (
            Tally::new(["a"], 3, rule.with_quorum(4)),
            "a quorum of 4 cannot be reached by 3 voters: lower it or add voters",
        ),
    ] {
        assert_eq!(tally.unwrap_err().to_string(), message);
    }
    let mut tally = Tally::new(["a"], 2, rule).unwrap();
    for confidence in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(
            tally.cast(0, 0, confidence),
            Err(VoteError::BadConfidence(_))
        ));
    }
    assert!(matches!(
        tally.cast(0, 1, 1.0),
        Err(VoteError::UnknownCategory { .. })
    ));
    assert!(matches!(
        tally.abstain(2),
        Err(VoteError::UnknownVoter { .. })
    ));
    tally.cast(0, 0, 1.0).unwrap();
    assert_eq!(tally.cast(0, 0, 1.0), Err(VoteError::VotedTwice(0)));
    assert_eq!(tally.open(), 1, "what was refused is not counted");
}
