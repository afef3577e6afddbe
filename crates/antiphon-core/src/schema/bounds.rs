//! Whether a schema is small enough to be compiled and judged by.
//!
//! Schemas come from callers. Both compiling and judging follow references by recursion, so a chain of some thousand of them
//! would overflow the stack and end the process, and references that double forty times would never end.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::reading::resolve;

/// Levels on the longest way that references may make: those of all places that are referred to, one after another.
const DEEPEST: usize = 4000;
/// Schemas that judge the same place of a value, references within references counted as often as they are met.
const MOST_IN_PLACE: u32 = 10_000;
/// Levels that a place is taken to have which is not found here.
const ELSEWHERE: usize = 128;

/// # Errors
/// Why it is not, for the one who wrote it.
pub(super) fn check(root: &Value) -> Result<(), String> {
    let mut bounds = Bounds {
        root,
        anchors: HashMap::new(),
        references: HashSet::new(),
        in_place: HashMap::new(),
        most_in_place: 0,
    };
    let own = bounds.note(root);
    let referred = bounds.references.iter().map(|reference| {
        let place = bounds.place(reference);
        place.map_or(ELSEWHERE, height)
    });
    let depth = referred.fold(own, usize::saturating_add);
    if depth > DEEPEST {
        let many = bounds.references.len();
        return Err(format!(
            "its {many} references can lead {depth} levels deep, and {DEEPEST} is the most: write it with fewer"
        ));
    }
    bounds.judge(root);
    if bounds.most_in_place > MOST_IN_PLACE {
        return Err(format!(
            "more than {MOST_IN_PLACE} schemas judge the same value, since references within `allOf`, `anyOf` or `oneOf` \
             multiply: write it with fewer"
        ));
    }
    Ok(())
}

struct Bounds<'a> {
    root: &'a Value,
    /// Places with a name of their own.
    anchors: HashMap<&'a str, &'a Value>,
    references: HashSet<&'a str>,
    /// Schemas in the place that a reference leads to; 1 while they are counted: a circle.
    in_place: HashMap<&'a str, u32>,
    most_in_place: u32,
}

impl<'a> Bounds<'a> {
    /// Notes names and references, and gives the levels of what is written.
    fn note(&mut self, value: &'a Value) -> usize {
        let fields = value.as_object();
        for (key, inner) in fields.into_iter().flatten() {
            let Some(text) = inner.as_str() else { continue };
            match key.as_str() {
                "$ref" | "$dynamicRef" | "$recursiveRef" => drop(self.references.insert(text)),
                "$anchor" | "$dynamicAnchor" | "$id" | "id" => {
                    let name = text.strip_prefix('#').unwrap_or(text);
                    self.anchors.insert(name, value);
                }
                _ => {}
            }
        }
        let deepest = inner(value).map(|inner| self.note(inner)).max();
        1 + deepest.unwrap_or(0)
    }

    fn place(&self, reference: &str) -> Option<&'a Value> {
        let name = reference.strip_prefix('#').unwrap_or(reference);
        resolve(self.root, reference).or_else(|| self.anchors.get(name).copied())
    }

    /// Counts the schemas that judge the place of each schema.
    fn judge(&mut self, value: &'a Value) {
        if let Value::Object(fields) = value {
            let count = self.count(fields);
            self.most_in_place = self.most_in_place.max(count);
        }
        inner(value).for_each(|inner| self.judge(inner));
    }

    fn count(&mut self, fields: &'a Map<String, Value>) -> u32 {
        let mut count = 1_u32;
        for (key, value) in fields {
            let more = match (key.as_str(), value) {
                ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => self.count_all(all.iter()),
                ("dependentSchemas", Value::Object(all)) => self.count_all(all.values()),
                ("not" | "if" | "then" | "else", Value::Object(one)) => self.count(one),
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                    self.count_referred(reference)
                }
                _ => 0,
            };
            count = count.saturating_add(more);
        }
        count
    }

    fn count_all(&mut self, all: impl Iterator<Item = &'a Value>) -> u32 {
        let all = all.filter_map(Value::as_object);
        all.fold(0, |sum, one| sum.saturating_add(self.count(one)))
    }

    fn count_referred(&mut self, reference: &'a str) -> u32 {
        if let Some(known) = self.in_place.get(reference) {
            return *known;
        }
        self.in_place.insert(reference, 1);
        let place = self.place(reference).and_then(Value::as_object);
        let count = place.map_or(1, |fields| self.count(fields));
        self.in_place.insert(reference, count);
        count
    }
}

fn inner(value: &Value) -> impl Iterator<Item = &Value> {
    let (fields, items) = (value.as_object(), value.as_array());
    let fields = fields.into_iter().flatten().map(|(_, value)| value);
    fields.chain(items.into_iter().flatten())
}

fn height(value: &Value) -> usize {
    1 + inner(value).map(height).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::Schema;

    /// So many definitions, each made from the name of the next one.
    fn chain(links: usize, link: impl Fn(String) -> Value) -> Value {
        let name = |number: usize| format!("a{number}");
        // the last one first: whoever looks at them in this order finds only short ways
        let links = (0..links)
            .rev()
            .map(|number| (name(number), link(name(number + 1))));
        let mut all: Map<String, Value> = links.collect();
        all.insert(name(all.len()), json!({}));
        json!({"$defs": all, "$ref": "#/$defs/a0"})
    }

    fn fault(schema: Value) -> String {
        Schema::new(schema)
            .err()
            .map_or_else(String::new, |fault| fault.0)
    }

    #[test]
    fn what_is_just_within_bounds_is_compiled_and_judges() {
        let deep = chain(
            900,
            |next| json!({"allOf": [{"$ref": format!("#/$defs/{next}")}]}),
        );
        assert_eq!(Schema::new(deep).unwrap().validate(&json!({})), Ok(()));
        let twice = |next| {
            let next = json!({"$ref": format!("#/$defs/{next}")});
            json!({"anyOf": [next, next]})
        };
        assert_eq!(
            Schema::new(chain(10, twice)).unwrap().validate(&json!({})),
            Ok(())
        );
    }

    #[test]
    fn a_chain_that_would_overflow_the_stack_is_refused() {
        let by_path = chain(
            2000,
            |next| json!({"allOf": [{"$ref": format!("#/$defs/{next}")}]}),
        );
        assert!(fault(by_path).contains("levels deep"));
        let mut by_name = chain(
            2000,
            |next| json!({"allOf": [{"$ref": format!("#{next}")}]}),
        );
        for (name, place) in by_name["$defs"].as_object_mut().unwrap() {
            place["$anchor"] = json!(name);
        }
        assert!(fault(by_name).contains("levels deep"));
        let elsewhere: Vec<Value> = (0..100)
            .map(|n| json!({"$ref": format!("#%61{n}")}))
            .collect();
        assert!(fault(json!({"anyOf": elsewhere})).contains("levels deep"));
    }

    #[test]
    fn references_that_multiply_are_refused() {
        let twice = |next| {
            let next = json!({"$ref": format!("#/$defs/{next}")});
            json!({"allOf": [next, next]})
        };
        assert!(fault(chain(40, twice)).contains("judge the same value"));
        let many: Vec<Value> = (0..20_000).map(|number| json!({"const": number})).collect();
        assert!(fault(json!({"items": {"anyOf": many}})).contains("judge the same value"));
    }

    #[test]
    fn schemas_that_hold_themselves_are_fine() {
        let names: Vec<String> = (0..100).map(|number| format!("a{number}")).collect();
        let each = names
            .iter()
            .map(|name| (name.clone(), json!({"$ref": format!("#/$defs/{name}")})));
        let each: Map<String, Value> = each.collect();
        // every one may hold every other
        let all: Map<String, Value> = names
            .iter()
            .map(|name| (name.clone(), json!({"type": "object", "properties": each})))
            .collect();
        let schema = Schema::new(json!({"$defs": all, "$ref": "#/$defs/a0"})).unwrap();
        assert_eq!(schema.validate(&json!({"a1": {"a2": {}}})), Ok(()));
        assert!(schema.validate(&json!({"a1": {"a2": 7}})).is_err());
        assert!(Schema::new(json!({"$ref": "#"})).is_ok());
    }
}
