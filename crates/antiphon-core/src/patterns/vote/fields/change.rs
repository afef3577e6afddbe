//! Whether answers that may still come can change the result.

use serde_json::{Number, Value};

use super::{
    FieldVote,
    agreement::most_agreeing,
    elect::{
        Said, by_kind, by_length, by_presence, by_value, elements, is_set, items, names, of_kind,
        of_length, properties,
    },
    number::order,
    place::{Kind, Place},
};
use crate::patterns::plurality::{Open, can_flip, groups, largest};

impl FieldVote {
    /// Whether the result of the answers that are in can still change with those of the voters in `open`, each of which may
    /// give any answer that fits the schema, or none. White space around a text does not count as a change.
    ///
    /// A `false` can be relied on. A `true` is exact for schemas of required enums and booleans, nested objects included;
    /// elsewhere it may be too careful, above all where a schema ties several fields together.
    pub fn can_still_change(&self, done: &[(usize, Value)], open: &[usize]) -> bool {
        let Some(open) = Open::of(open) else {
            return false;
        };
        let (votes, _) = self.valid(done);
        if votes.is_empty() || !self.separable {
            return true;
        }
        let outlook = Outlook { vote: self, open };
        let root = Place::root(self.schema.json());
        let Some(only) = &self.only else {
            return outlook.value(&root, &votes);
        };
        votes.iter().any(|(_, value)| !value.is_object())
            || !root.has_one_kind()
            || only
                .iter()
                .any(|name| outlook.property(&root, &votes, name))
            || self.base_can_change(&votes, open.earliest)
    }

    /// Whether another candidate may become the one that gives the fields that are not voted on.
    fn base_can_change(&self, votes: &[Said<'_>], earliest: usize) -> bool {
        let Some(result) = self.combine(votes) else {
            return true;
        };
        let (best, agrees_with_all) = most_agreeing(&self.leaves(&result, votes), votes.len());
        !agrees_with_all || earliest < votes[best].0
    }
}

struct Outlook<'a> {
    vote: &'a FieldVote,
    open: Open,
}

impl Outlook<'_> {
    /// Whether the value elected here can change.
    fn value(&self, place: &Place<'_>, votes: &[Said<'_>]) -> bool {
        let kinds = by_kind(votes);
        let Some(kind) = largest(&kinds).map(|group| group.value) else {
            return true;
        };
        if can_flip(&kinds, !place.has_one_kind(), self.open) {
            return true;
        }
        let votes = of_kind(votes, kind);
        match kind {
            Kind::Null => false,
            Kind::Number if !place.is_choice() => self.median(&votes),
            Kind::Boolean | Kind::Text | Kind::Number => {
                let groups = by_value(place, &votes);
                let another = place
                    .choice_count()
                    .is_none_or(|count| count > groups.len());
                can_flip(&groups, another, self.open)
            }
            Kind::List if place.is_set() && is_set(place, &votes) => self.set(place, &votes),
            Kind::List => self.list(place, &votes),
            Kind::Object => self.object(place, &votes),
        }
    }

    fn object(&self, place: &Place<'_>, votes: &[Said<'_>]) -> bool {
        // a property that nobody has so far
        let absent = votes.iter().map(|(voter, _)| (*voter, ()));
        let may_come = place.is_open() && can_flip(&groups(absent, |(), ()| true), true, self.open);
        let names = names(place, votes);
        may_come || names.iter().any(|name| self.property(place, votes, name))
    }

    fn property(&self, place: &Place<'_>, votes: &[Said<'_>], name: &str) -> bool {
        let presence = by_presence(votes, name);
        let may_flip = !place.requires(name) && can_flip(&presence, presence.len() < 2, self.open);
        let present = largest(&presence).is_some_and(|group| group.value);
        may_flip || (present && self.value(&place.property(name), &properties(votes, name)))
    }

    /// The median stays if all numbers that it can move to are the same.
    fn median(&self, votes: &[Said<'_>]) -> bool {
        let numbers = votes.iter().filter_map(|(_, value)| value.as_number());
        let mut numbers: Vec<&Number> = numbers.collect();
        numbers.sort_by(|a, b| order(a, b));
        let (count, open) = (numbers.len(), self.open.count);
        // so many new ones, all below or all above
        let middles = (0..=open).map(|new| (count + new - 1) / 2);
        let lowest = (0..=open)
            .map(|new| ((count + new - 1) / 2).checked_sub(new))
            .min();
        let (Some(Some(lowest)), Some(highest)) = (lowest, middles.max()) else {
            return true;
        };
        highest >= count || order(numbers[lowest], numbers[highest]).is_ne()
    }

    fn set(&self, place: &Place<'_>, votes: &[Said<'_>]) -> bool {
        let (count, open) = (votes.len(), self.open.count);
        let elements = elements(place, votes);
        let needed = |candidates| self.vote.needed(candidates);
        let stays_out = |holders: usize| (0..=open).all(|new| holders + new < needed(count + new));
        let chosen = elements
            .iter()
            .filter(|(_, holders)| *holders >= needed(count))
            .count();
        let settled = elements.iter().all(|(_, holders)| {
            *holders >= needed(count + open) || (*holders < needed(count) && stays_out(*holders))
        });
        let last_done = votes.last().map_or(0, |(voter, _)| *voter);
        // an earlier voter may name the same elements in another order
        let reordered = chosen > 1 && self.open.earliest < last_done;
        !settled || !stays_out(0) || reordered
    }

    fn list(&self, place: &Place<'_>, votes: &[Said<'_>]) -> bool {
        let lengths = by_length(votes);
        let length = largest(&lengths).map_or(0, |group| group.value);
        let votes = of_length(votes, length);
        // where a set may come, this list is one that happens to hold objects
        place.is_set()
            || can_flip(&lengths, true, self.open)
            || (0..length).any(|index| self.value(&place.item(index), &items(&votes, index)))
    }
}
