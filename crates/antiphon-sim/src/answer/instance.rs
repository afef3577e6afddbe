//! A value that fits a JSON Schema, drawn from the dice.
//!
//! Supported: `type` (lists too), `enum`, `const`, `properties`, `required`, `additionalProperties`,
//! `patternProperties`, `min`/`maxProperties`, `dependentRequired`, `items`, `prefixItems`, `contains`, `uniqueItems`,
//! numeric bounds, `multipleOf`, string lengths, `format`, `pattern` (best effort), `anyOf`, `oneOf`, `allOf`, `not`,
//! `if`, and `$ref` within the document, recursion included. What is drawn is checked; a bad draw is drawn again.

use std::borrow::Cow;

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::{
    fit::fits,
    merge::{merged, referred},
    number::number,
    text,
};
use crate::dice::pick;

/// Beyond this depth only what is required is written, and branches that end soonest are taken.
pub(super) const DEEP: u32 = 5;
/// Depth at which a schema that demands itself without end is cut off.
const MOST_DEPTH: u32 = 40;
/// Values drawn for one instance, retries included.
const MOST_VALUES: u32 = 20_000;
/// Draws of the whole instance before the last one is taken as it is.
const MOST_TRIES: u32 = 12;
/// Draws instances of one schema.
pub(super) struct Generator<'a> {
    pub(super) root: &'a Value,
    pub(super) rng: &'a mut Rng,
    pub(super) result: Option<f64>,
    pub(super) left: u32,
}

impl<'a> Generator<'a> {
    /// A generator; `result` goes into a property called `answer` or the like, where it fits.
    pub(super) fn new(root: &'a Value, rng: &'a mut Rng, result: Option<f64>) -> Self {
        Self {
            root,
            rng,
            result,
            left: MOST_VALUES,
        }
    }

    /// An instance.
    pub(super) fn instance(mut self) -> Value {
        let root = self.root;
        let mut value = self.value(root, 0);
        for _ in 1..MOST_TRIES {
            if self.left == 0 || fits(root, root, &value) {
                break;
            }
            value = self.value(root, 0);
        }
        value
    }

    pub(super) fn value(&mut self, schema: &Value, depth: u32) -> Value {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || depth > MOST_DEPTH {
            return Value::Null;
        }
        let schema = self.flat(schema, depth);
        let Value::Object(fields) = schema.as_ref() else {
            return match *schema {
                Value::Bool(true) => Value::from(self.string(&Map::new())),
                _ => Value::Null,
            };
        };
        if let Some(only) = fields.get("const") {
            return only.clone();
        }
        if let Some(options) = fields.get("enum").and_then(Value::as_array) {
            let fitting: Vec<_> = options
                .iter()
                .filter(|option| fits(self.root, &schema, option))
                .collect();
            return pick(self.rng, &fitting).map_or(Value::Null, |option| (*option).clone());
        }
        if let Some(value) = self.branched(fields, depth) {
            return value;
        }
        self.typed(fields, depth)
    }

    /// The schema with its references followed and its `allOf` merged in.
    fn flat<'s>(&mut self, schema: &'s Value, depth: u32) -> Cow<'s, Value> {
        let mut flat = Cow::Borrowed(schema);
        loop {
            let Value::Object(fields) = flat.as_ref() else {
                return flat;
            };
            let mut rest = fields.clone();
            let reference = rest.remove("$ref");
            let all = if reference.is_none() {
                rest.remove("allOf")
            } else {
                None
            };
            if reference.is_none() && all.is_none() {
                return flat;
            }
            // each turn removes a keyword, but a circle of references brings it back for ever
            self.left = self.left.saturating_sub(1);
            if self.left == 0 || depth > MOST_DEPTH {
                return Cow::Owned(Value::Object(rest));
            }
            let mut both = Value::Object(rest);
            if let Some(reference) = reference {
                let target = reference.as_str().and_then(|at| referred(self.root, at));
                both = merged(&both, target.unwrap_or(&Value::Bool(true)));
            }
            for one in all.iter().filter_map(Value::as_array).flatten() {
                both = merged(&both, &self.flat(one, depth + 1));
            }
            flat = Cow::Owned(both);
        }
    }

    /// A value of one of the branches, where the schema has some.
    fn branched(&mut self, fields: &Map<String, Value>, depth: u32) -> Option<Value> {
        let mut base = fields.clone();
        let branches = match ["anyOf", "oneOf"]
            .into_iter()
            .find_map(|name| base.remove(name))
        {
            Some(Value::Array(branches)) => branches,
            _ => {
                let condition = base.remove("if")?;
                let mut branch = |name| base.remove(name).unwrap_or(Value::Bool(true));
                let (then, other) = (branch("then"), branch("else"));
                let otherwise = merged(&json!({ "not": condition }), &other);
                vec![merged(&condition, &then), otherwise]
            }
        };
        let mut order: Vec<usize> = (0..branches.len()).collect();
        if depth > DEEP {
            order.sort_by_cached_key(|&index| self.weight(&branches[index], depth));
        } else {
            self.rng.shuffle(&mut order);
        }
        let whole = Value::Object(fields.clone());
        let base = Value::Object(base);
        let mut last = None;
        for index in order {
            let both = merged(&base, &self.flat(&branches[index], depth));
            let value = self.value(&both, depth + 1);
            if fits(self.root, &both, &value) && fits(self.root, &whole, &value) {
                return Some(value);
            }
            last = Some(value);
        }
        last
    }

    /// How soon a branch comes to an end: scalars before arrays before objects.
    fn weight(&mut self, branch: &Value, depth: u32) -> u8 {
        let schema = self.flat(branch, depth);
        match kinds_of(&schema).first().map(String::as_str) {
            Some("null" | "boolean") => 0,
            Some("integer" | "number" | "string") => 1,
            Some("array") => 2,
            _ => 3,
        }
    }

    fn typed(&mut self, fields: &Map<String, Value>, depth: u32) -> Value {
        let mut kinds = kinds_of(&Value::Object(fields.clone()));
        // null is for the few: an optional field that never has a value proves nothing
        if kinds.len() > 1 && depth <= DEEP && self.rng.f64() < 0.8 {
            kinds.retain(|kind| kind != "null");
        } else if depth > DEEP && kinds.iter().any(|kind| kind == "null") {
            return Value::Null;
        }
        let kind = pick(self.rng, &kinds).cloned().unwrap_or_default();
        match kind.as_str() {
            "object" => self.object(fields, depth),
            "array" => self.array(fields, depth),
            "integer" => number(fields, true, self.rng),
            "number" => number(fields, false, self.rng),
            "boolean" => Value::from(self.rng.bool()),
            "null" => Value::Null,
            _ => Value::from(self.string(fields)),
        }
    }

    pub(super) fn string(&mut self, fields: &Map<String, Value>) -> String {
        let text = text::string(fields, self.rng);
        // long strings count as many values: thousands of them would be larger than memory
        let weight = u32::try_from(text.len() / 100).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(weight).max(1);
        text
    }
}

/// The types that a schema allows; where it does not say, the type that its keywords speak of.
fn kinds_of(schema: &Value) -> Vec<String> {
    match &schema["type"] {
        Value::String(one) => return vec![one.clone()],
        Value::Array(several) => {
            return several
                .iter()
                .filter_map(|one| Some(one.as_str()?.to_owned()))
                .collect();
        }
        _ => {}
    }
    let speaks_of = [
        (
            "object",
            &[
                "properties",
                "required",
                "additionalProperties",
                "patternProperties",
                "minProperties",
            ][..],
        ),
        (
            "array",
            &[
                "items",
                "prefixItems",
                "minItems",
                "uniqueItems",
                "contains",
            ][..],
        ),
        (
            "number",
            &[
                "minimum",
                "maximum",
                "exclusiveMinimum",
                "exclusiveMaximum",
                "multipleOf",
            ][..],
        ),
    ];
    let kind = speaks_of
        .iter()
        .find(|(_, keywords)| keywords.iter().any(|name| schema.get(name).is_some()));
    vec![kind.map_or("string", |(kind, _)| *kind).to_owned()]
}
