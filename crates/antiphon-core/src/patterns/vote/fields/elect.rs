//! The vote at one place of the answers, and at all places below it.

use serde_json::{Map, Value};

use super::{
    FieldVote,
    number::{lower_median, order, plain},
    place::{Kind, Place},
};
use crate::patterns::plurality::{Group, groups, largest};

/// What a candidate has at a place, with the candidate's number; in the order of these numbers.
pub(super) type Said<'a> = (usize, &'a Value);

impl FieldVote {
    /// The value that the candidates elect; `None` without candidates.
    pub(super) fn elect(&self, place: &Place<'_>, votes: &[Said<'_>]) -> Option<Value> {
        let kinds = by_kind(votes);
        let kind = largest(&kinds)?.value;
        let votes = of_kind(votes, kind);
        match kind {
            Kind::Null => Some(Value::Null),
            Kind::Boolean | Kind::Text => self.most(place, &votes),
            Kind::Number if place.is_choice() => self.most(place, &votes),
            Kind::Number => lower_median(votes.iter().filter_map(|(_, value)| value.as_number())),
            Kind::List if is_set(place, &votes) => {
                Some(Value::Array(self.elect_set(place, &votes)))
            }
            Kind::List => Some(Value::Array(self.elect_list(place, &votes))),
            Kind::Object => Some(Value::Object(self.elect_object(place, &votes))),
        }
    }

    fn most(&self, place: &Place<'_>, votes: &[Said<'_>]) -> Option<Value> {
        let groups = by_value(place, votes);
        Some(match largest(&groups)?.value {
            Value::Number(number) => plain(number),
            value => value.clone(),
        })
    }

    /// Elements that enough candidates have, in the order of their first appearance.
    fn elect_set(&self, place: &Place<'_>, votes: &[Said<'_>]) -> Vec<Value> {
        let needed = self.needed(votes.len());
        let elements = elements(place, votes);
        elements
            .into_iter()
            .filter(|(_, holders)| *holders >= needed)
            .map(|(element, _)| match element {
                Value::Number(number) => plain(number),
                element => element.clone(),
            })
            .collect()
    }

    /// Candidates that an element of a set needs, of so many.
    pub(super) fn needed(&self, candidates: usize) -> usize {
        // a share like 0.6 of 5 is 3, whatever the last bit of the product says
        let exact = self.set_share * candidates as f64;
        ((exact - 1e-9).ceil() as usize).max(1)
    }

    /// The most frequent length, then item by item among the lists of that length.
    fn elect_list(&self, place: &Place<'_>, votes: &[Said<'_>]) -> Vec<Value> {
        let lengths = by_length(votes);
        let length = largest(&lengths).map_or(0, |group| group.value);
        let votes = of_length(votes, length);
        (0..length)
            .filter_map(|index| self.elect(&place.item(index), &items(&votes, index)))
            .collect()
    }

    fn elect_object(&self, place: &Place<'_>, votes: &[Said<'_>]) -> Map<String, Value> {
        let mut elected = Map::new();
        for name in names(place, votes) {
            if let Some(value) = self.elect_property(place, votes, name) {
                elected.insert(name.to_owned(), value);
            }
        }
        elected
    }

    /// The value of a property; `None` where most leave it out.
    pub(super) fn elect_property(
        &self,
        place: &Place<'_>,
        votes: &[Said<'_>],
        name: &str,
    ) -> Option<Value> {
        if !largest(&by_presence(votes, name))?.value {
            return None;
        }
        self.elect(&place.property(name), &properties(votes, name))
    }
}

/// Lists are sets where the schema says so and their items are scalars.
pub(super) fn is_set(place: &Place<'_>, votes: &[Said<'_>]) -> bool {
    let scalar = |item: &Value| !item.is_array() && !item.is_object();
    let mut items = votes
        .iter()
        .filter_map(|(_, list)| list.as_array())
        .flatten();
    place.is_set() && items.all(scalar)
}

/// Whether two scalars are the same vote: numbers by value, free text without the white space around it.
pub(super) fn same_scalar(place: &Place<'_>, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order(a, b).is_eq(),
        (Value::String(a), Value::String(b)) if !place.is_choice() => a.trim() == b.trim(),
        _ => a == b,
    }
}

/// Different elements of all sets, each with the number of candidates that have it. Where an element stands in a set more
/// than once, its second place is voted on by itself.
pub(super) fn elements<'a>(place: &Place<'_>, votes: &[Said<'a>]) -> Vec<(&'a Value, usize)> {
    let item = place.item(0);
    let same = |a: &Value, b: &Value| same_scalar(&item, a, b);
    let mut elements: Vec<(&Value, usize, usize)> = Vec::new();
    for (_, set) in votes {
        let set = set.as_array().map_or(&[][..], Vec::as_slice);
        for (at, element) in set.iter().enumerate() {
            let nth = set[..at]
                .iter()
                .filter(|earlier| same(earlier, element))
                .count();
            let known = elements
                .iter_mut()
                .find(|(known, of, _)| *of == nth && same(known, element));
            match known {
                Some((_, _, holders)) => *holders += 1,
                None => elements.push((element, nth, 1)),
            }
        }
    }
    let held = elements.into_iter();
    held.map(|(element, _, holders)| (element, holders))
        .collect()
}

/// Properties to vote on: those of the schema in its order, then others in the order of their first appearance.
pub(super) fn names<'n>(place: &Place<'n>, votes: &[Said<'n>]) -> Vec<&'n str> {
    let mut names = place.property_names();
    for (_, object) in votes {
        for name in object
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys())
        {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    names
}

pub(super) fn by_kind(votes: &[Said<'_>]) -> Vec<Group<Kind>> {
    let kinds = votes.iter().map(|(voter, value)| (*voter, Kind::of(value)));
    groups(kinds, |a, b| a == b)
}

pub(super) fn of_kind<'a>(votes: &[Said<'a>], kind: Kind) -> Vec<Said<'a>> {
    let votes = votes.iter().copied();
    votes.filter(|(_, value)| Kind::of(value) == kind).collect()
}

pub(super) fn by_value<'a>(place: &Place<'_>, votes: &[Said<'a>]) -> Vec<Group<&'a Value>> {
    groups(votes.iter().copied(), |a, b| same_scalar(place, a, b))
}

pub(super) fn by_length(votes: &[Said<'_>]) -> Vec<Group<usize>> {
    let lengths = votes.iter().map(|(voter, list)| (*voter, length(list)));
    groups(lengths, |a, b| a == b)
}

pub(super) fn of_length<'a>(votes: &[Said<'a>], wanted: usize) -> Vec<Said<'a>> {
    let votes = votes.iter().copied();
    votes.filter(|(_, list)| length(list) == wanted).collect()
}

fn length(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

pub(super) fn items<'a>(votes: &[Said<'a>], index: usize) -> Vec<Said<'a>> {
    let votes = votes.iter();
    votes
        .filter_map(|(voter, list)| Some((*voter, list.get(index)?)))
        .collect()
}

pub(super) fn by_presence(votes: &[Said<'_>], name: &str) -> Vec<Group<bool>> {
    let presence = votes
        .iter()
        .map(|(voter, object)| (*voter, object.get(name).is_some()));
    groups(presence, |a, b| a == b)
}

pub(super) fn properties<'a>(votes: &[Said<'a>], name: &str) -> Vec<Said<'a>> {
    let votes = votes.iter();
    votes
        .filter_map(|(voter, object)| Some((*voter, object.get(name)?)))
        .collect()
}
