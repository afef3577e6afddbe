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
    number::{number, written},
    pattern, text,
};
use crate::dice::pick;

/// Beyond this depth only what is required is written, and branches that end soonest are taken.
const DEEP: u32 = 5;
/// Depth at which a schema that demands itself without end is cut off.
const MOST_DEPTH: u32 = 40;
/// Values drawn for one instance, retries included.
const MOST_VALUES: u32 = 20_000;
/// Draws of the whole instance before the last one is taken as it is.
const MOST_TRIES: u32 = 12;
/// Items that an array may have, whatever its schema says.
const MOST_ITEMS: u64 = 10_000;
/// Properties that take the result of an arithmetic question.
const RESULT_NAMES: [&str; 6] = [
    "answer",
    "final_answer",
    "result",
    "value",
    "number",
    "total",
];

/// Draws instances of one schema.
pub(super) struct Generator<'a> {
    root: &'a Value,
    rng: &'a mut Rng,
    result: Option<f64>,
    left: u32,
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

    fn value(&mut self, schema: &Value, depth: u32) -> Value {
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

    fn string(&mut self, fields: &Map<String, Value>) -> String {
        let text = text::string(fields, self.rng);
        // long strings count as many values: thousands of them would be larger than memory
        let weight = u32::try_from(text.len() / 100).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(weight).max(1);
        text
    }

    fn object(&mut self, fields: &Map<String, Value>, depth: u32) -> Value {
        let known = fields.get("properties").and_then(Value::as_object);
        let others = fields
            .get("additionalProperties")
            .unwrap_or(&Value::Bool(true));
        let count = |name: &str| fields.get(name).and_then(Value::as_u64);
        let most = count("maxProperties").unwrap_or(u64::MAX);
        let required = required_names(fields);
        let mut members = Map::new();
        for (name, schema) in known.into_iter().flatten() {
            let wanted = required.iter().any(|other| other == name);
            let room = (required.len().max(members.len()) as u64) < most;
            if wanted || (room && depth <= DEEP && self.rng.f64() < 0.7) {
                let value = self.member(name, schema, depth);
                members.insert(name.clone(), value);
            }
        }
        for name in required {
            if !members.contains_key(&name) {
                let value = self.member(&name, others, depth);
                members.insert(name, value);
            }
        }
        let is_map =
            known.is_none() && (others.is_object() || fields.contains_key("patternProperties"));
        let least = count("minProperties").unwrap_or(if is_map && depth <= DEEP { 2 } else { 0 });
        self.add_members(&mut members, fields, least.min(most).min(MOST_ITEMS), depth);
        Value::Object(members)
    }

    fn member(&mut self, name: &str, schema: &Value, depth: u32) -> Value {
        if let Some(result) = self.result.filter(|_| RESULT_NAMES.contains(&name)) {
            let number = written(result);
            let forms = [number.clone(), Value::from(number.to_string())];
            if let Some(form) = forms.into_iter().find(|form| fits(self.root, schema, form)) {
                return form;
            }
        }
        self.value(schema, depth + 1)
    }

    /// Adds members under names of its own until there are enough.
    fn add_members(
        &mut self,
        members: &mut Map<String, Value>,
        fields: &Map<String, Value>,
        least: u64,
        depth: u32,
    ) {
        let patterned = fields.get("patternProperties").and_then(Value::as_object);
        let patterned = patterned.and_then(|patterns| patterns.iter().next());
        let names = fields.get("propertyNames").and_then(Value::as_object);
        let others = fields
            .get("additionalProperties")
            .unwrap_or(&Value::Bool(true));
        let known = fields.get("properties").and_then(Value::as_object);
        for number in 0..least.saturating_mul(2) {
            if members.len() as u64 >= least {
                return;
            }
            let (name, schema) = match (patterned, names) {
                (Some((pattern, schema)), _) => (
                    pattern::matching(pattern, self.rng).unwrap_or_default(),
                    schema,
                ),
                (None, Some(names)) => (self.string(names), others),
                (None, None) => (format!("key_{number}"), others),
            };
            // an optional property that was left out would have to fit its own schema
            let schema = known.and_then(|known| known.get(&name)).unwrap_or(schema);
            let value = self.value(schema, depth + 1);
            members.insert(name, value);
        }
    }

    fn array(&mut self, fields: &Map<String, Value>, depth: u32) -> Value {
        let count = |name: &str| fields.get(name).and_then(Value::as_u64);
        let prefix = ["prefixItems", "items"]
            .into_iter()
            .find_map(|name| fields.get(name)?.as_array());
        let prefix = prefix.map_or(&[][..], Vec::as_slice);
        let any = Value::Bool(true);
        let rest = fields
            .get("items")
            .filter(|items| !items.is_array())
            .or(fields.get("additionalItems"));
        let rest = rest.unwrap_or(&any);
        let contained = fields.get("contains");
        let least = count("minItems").unwrap_or(0);
        let most = count("maxItems").unwrap_or(u64::MAX);
        let usual = if depth > DEEP { 0 } else { self.rng.u64(1..=3) };
        let closed = *rest == Value::Bool(false);
        let usual = if closed {
            prefix.len() as u64
        } else {
            usual.max(prefix.len() as u64)
        };
        let length = usual.max(least).min(most).min(MOST_ITEMS);
        let mut wanted = contained.map_or(0, |_| count("minContains").unwrap_or(1));
        let length = length.max(prefix.len() as u64 + wanted).min(most);
        let unique = fields.get("uniqueItems") == Some(&Value::Bool(true));
        let mut items: Vec<Value> = Vec::new();
        for index in 0..length {
            let own = usize::try_from(index)
                .ok()
                .and_then(|index| prefix.get(index));
            let schema = match (own, contained) {
                (Some(own), _) => Cow::Borrowed(own),
                (None, Some(contained)) if wanted > 0 => {
                    wanted -= 1;
                    Cow::Owned(merged(rest, contained))
                }
                _ => Cow::Borrowed(rest),
            };
            let mut item = self.value(&schema, depth + 1);
            for _ in 0..50 {
                if self.left == 0 || !unique || !items.contains(&item) {
                    break;
                }
                item = self.value(&schema, depth + 1);
            }
            if unique && items.contains(&item) && index >= least {
                break;
            }
            items.push(item);
        }
        Value::Array(items)
    }
}

/// Names that must be there, those that another one brings along included.
fn required_names(fields: &Map<String, Value>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let add = |more: &Value, names: &mut Vec<String>| {
        for name in more
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    };
    add(fields.get("required").unwrap_or(&Value::Null), &mut names);
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        add(
            &fields.get("dependentRequired").unwrap_or(&Value::Null)[&name],
            &mut names,
        );
        next += 1;
    }
    names
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
