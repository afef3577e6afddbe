//! Most votes win; a tie goes to what the lowest-numbered voter said.

use std::cmp::Ordering;

/// Equal votes, in the order of their first voters.
#[derive(Debug)]
pub(super) struct Group<T> {
    pub(super) votes: usize,
    pub(super) first_voter: usize,
    /// What the first voter said.
    pub(super) value: T,
}

/// Groups equal votes. The votes come in the order of their voters.
pub(super) fn groups<T: Copy>(
    votes: impl Iterator<Item = (usize, T)>,
    same: impl Fn(T, T) -> bool,
) -> Vec<Group<T>> {
    let mut groups: Vec<Group<T>> = Vec::new();
    for (voter, value) in votes {
        match groups.iter_mut().find(|group| same(group.value, value)) {
            Some(group) => group.votes += 1,
            None => groups.push(Group {
                votes: 1,
                first_voter: voter,
                value,
            }),
        }
    }
    groups
}

/// The largest group; of several the one with the earliest voter.
pub(super) fn largest<T>(groups: &[Group<T>]) -> Option<&Group<T>> {
    groups
        .iter()
        .reduce(|best, next| if next.votes > best.votes { next } else { best })
}

/// Voters whose answers may still come, or fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) count: usize,
    pub(super) earliest: usize,
}

impl Open {
    /// `None` where nothing more can come.
    pub(super) fn of(voters: &[usize]) -> Option<Self> {
        let earliest = voters.iter().copied().min()?;
        Some(Self {
            count: voters.len(),
            earliest,
        })
    }
}

/// Whether open voters can make another group the largest, or one that nobody has voted for yet, if there is `another`.
pub(super) fn can_flip<T>(groups: &[Group<T>], another: bool, open: Open) -> bool {
    let Some(leader) = largest(groups) else {
        return true;
    };
    let overtakes =
        |votes: usize, first: Option<usize>| match (votes + open.count).cmp(&leader.votes) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => {
                first.map_or(open.earliest, |first| first.min(open.earliest)) < leader.first_voter
            }
        };
    let rivals = groups.iter().filter(|group| !std::ptr::eq(*group, leader));
    rivals
        .map(|rival| overtakes(rival.votes, Some(rival.first_voter)))
        .chain(another.then(|| overtakes(0, None)))
        .any(|overtakes| overtakes)
}
