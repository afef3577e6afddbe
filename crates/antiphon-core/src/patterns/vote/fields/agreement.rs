//! How many candidates agree with the result, field by field.

use serde::Serialize;
use serde_json::Value;

use super::{
    FieldVote,
    elect::{elements, is_set, same_scalar},
    number::within,
    place::Place,
};

/// The candidates' agreement with one field of the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldAgreement {
    /// The field as a JSON pointer (RFC 6901); empty for an answer that is no object or list.
    pub path: String,
    /// The share of candidates, 0 to 1, that have what the result has there: the same value, a number within the tolerance,
    /// the same set, or nothing where the result has nothing.
    pub share: f64,
}

/// Which candidates agree with one field, in their order.
#[derive(Debug)]
pub(super) struct Leaf {
    path: String,
    agrees: Vec<bool>,
}

impl Leaf {
    pub(super) fn told(&self) -> FieldAgreement {
        let count = self.agrees.iter().filter(|agrees| **agrees).count();
        FieldAgreement {
            path: self.path.clone(),
            share: count as f64 / self.agrees.len() as f64,
        }
    }
}

/// The candidates that agree with all fields, by their place.
pub(super) fn agreeing(leaves: &[Leaf], candidates: usize) -> impl Iterator<Item = usize> {
    (0..candidates).filter(|candidate| leaves.iter().all(|leaf| leaf.agrees[*candidate]))
}

/// The first of the candidates that agree with the most fields, and whether it agrees with all.
pub(super) fn most_agreeing(leaves: &[Leaf], candidates: usize) -> (usize, bool) {
    let score = |candidate: usize| leaves.iter().filter(|leaf| leaf.agrees[candidate]).count();
    let best = (0..candidates)
        .reduce(|best, next| {
            if score(next) > score(best) {
                next
            } else {
                best
            }
        })
        .unwrap_or(0);
    (best, candidates > 0 && score(best) == leaves.len())
}

impl FieldVote {
    /// Notes for each field of `result` below `path` which candidates agree; `said` is what each has at this place.
    pub(super) fn compare(
        &self,
        place: &Place<'_>,
        path: &str,
        result: Option<&Value>,
        said: &[Option<&Value>],
        leaves: &mut Vec<Leaf>,
    ) {
        match result {
            Some(Value::Object(object)) => {
                let names = object.keys().map(String::as_str);
                let mut names: Vec<&str> = names.collect();
                let theirs = said.iter().flatten().filter_map(|value| value.as_object());
                for name in theirs.flat_map(|object| object.keys()) {
                    if !names.contains(&name.as_str()) {
                        names.push(name);
                    }
                }
                for name in &names {
                    let said = below(said, |value| value.get(name));
                    let path = format!("{path}/{}", escaped(name));
                    let own = object.get(*name);
                    self.compare(&place.property(name), &path, own, &said, leaves);
                }
                if names.is_empty() {
                    leaves.push(leaf(path, said, |value| {
                        value.is_some_and(Value::is_object)
                    }));
                }
            }
            Some(list @ Value::Array(items))
                if !items.is_empty() && !is_set(place, &[(0, list)]) =>
            {
                for (index, item) in items.iter().enumerate() {
                    let said = below(said, |value| {
                        let theirs = value.as_array()?;
                        theirs.get(index).filter(|_| theirs.len() == items.len())
                    });
                    let path = format!("{path}/{index}");
                    self.compare(&place.item(index), &path, Some(item), &said, leaves);
                }
            }
            _ => leaves.push(leaf(path, said, |value| self.agrees(place, result, value))),
        }
    }

    fn agrees(&self, place: &Place<'_>, result: Option<&Value>, said: Option<&Value>) -> bool {
        match (result, said) {
            (Some(Value::Number(a)), Some(Value::Number(b))) if !place.is_choice() => {
                within(a, b, self.tolerance)
            }
            (Some(Value::Array(a)), Some(theirs @ Value::Array(_))) => {
                let mine = result.map(|mine| (0, mine));
                let all: Vec<_> = mine.into_iter().chain([(1, theirs)]).collect();
                // an empty result agrees with empty lists only; elements of both sets are held by both
                if a.is_empty() || !is_set(place, &all) {
                    return result == said;
                }
                elements(place, &all)
                    .iter()
                    .all(|(_, holders)| *holders == 2)
            }
            (Some(a), Some(b)) => same_scalar(place, a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

fn leaf(path: &str, said: &[Option<&Value>], agrees: impl Fn(Option<&Value>) -> bool) -> Leaf {
    Leaf {
        path: path.to_owned(),
        agrees: said.iter().map(|value| agrees(*value)).collect(),
    }
}

fn below<'a>(
    said: &[Option<&'a Value>],
    step: impl Fn(&'a Value) -> Option<&'a Value>,
) -> Vec<Option<&'a Value>> {
    said.iter().map(|value| value.and_then(&step)).collect()
}

/// The path of a property of the whole answer.
pub(super) fn below_root(name: &str) -> String {
    format!("/{}", escaped(name))
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
