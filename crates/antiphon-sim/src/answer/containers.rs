//! Objects and arrays that fit a schema.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    fit::fits,
    instance::{DEEP, Generator},
    merge::merged,
    number::written,
    pattern,
};

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

impl Generator<'_> {
    pub(super) fn object(&mut self, fields: &Map<String, Value>, depth: u32) -> Value {
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

    pub(super) fn array(&mut self, fields: &Map<String, Value>, depth: u32) -> Value {
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
