//! How long a schema can become on its way to a provider.

use serde_json::{Map, Value};

use super::reading::resolve;
use crate::account::bounds::{of_escaped, of_json};

/// `"additionalProperties": false, "required": []` and `"properties": {}`.
const CLOSING: u64 = 64;
/// `{"anyOf": [, {"type": "null"}]}`, and a place in the list of required names.
const PER_PROPERTY: u64 = 40;
/// Values that are visited at most: references within references can multiply.
const MOST_VALUES: u32 = 20_000;

/// An upper bound of the tokens of a schema, also in the forms to which providers' subsets make us rewrite it: references
/// with siblings or within `allOf` written out, objects closed with every property required, keywords repeated in words.
/// `None` where references multiply beyond measure or lead nowhere.
pub(crate) fn most_tokens(root: &Value) -> Option<u64> {
    let mut size = Size {
        root,
        open: Vec::new(),
        left: MOST_VALUES,
    };
    size.of(root, false)
}

struct Size<'a> {
    root: &'a Value,
    /// References being written out: within themselves they stay references.
    open: Vec<&'a str>,
    left: u32,
}

impl<'a> Size<'a> {
    fn of(&mut self, value: &'a Value, in_all_of: bool) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        match value {
            Value::Object(fields) => self.of_object(fields, in_all_of),
            Value::Array(items) => items.iter().try_fold(of_json(&Value::Null), |sum, item| {
                Some(self.of(item, in_all_of)?.saturating_add(sum))
            }),
            scalar => Some(of_json(scalar)),
        }
    }

    fn of_object(&mut self, fields: &'a Map<String, Value>, in_all_of: bool) -> Option<u64> {
        let mut sum = CLOSING;
        for (name, value) in fields {
            let own = self.of(value, name == "allOf")?;
            sum = sum.saturating_add(of_escaped(name)).saturating_add(own);
        }
        if let Some(Value::Object(properties)) = fields.get("properties") {
            let names = properties
                .keys()
                .map(|name| of_escaped(name) + PER_PROPERTY);
            sum = names.fold(sum, u64::saturating_add);
        }
        let is_written_out = fields.len() > 1 || in_all_of;
        match fields.get("$ref").and_then(Value::as_str) {
            Some(reference) if is_written_out && !self.open.contains(&reference) => {
                let target = resolve(self.root, reference)?;
                self.open.push(reference);
                // a target that only refers to another one is written out too
                let target = self.of(target, true);
                self.open.pop();
                Some(sum.saturating_add(target?))
            }
            _ => Some(sum),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_counted_where_they_are_written_out() {
        let text = "x".repeat(1000);
        let with = |reference: Value| {
            json!({
                "type": "object",
                "properties": {"a": reference},
                "$defs": {"t": {"type": "string", "description": text}}
            })
        };
        let alone = most_tokens(&with(json!({"$ref": "#/$defs/t"}))).unwrap();
        let beside = with(json!({"$ref": "#/$defs/t", "title": "A"}));
        assert!((1000..2000).contains(&alone), "{alone}");
        assert!(most_tokens(&beside).unwrap() >= alone + 1000);
        let merged = with(json!({"allOf": [{"$ref": "#/$defs/t"}]}));
        assert!(most_tokens(&merged).unwrap() >= alone + 1000);
        assert_eq!(
            most_tokens(&with(json!({"$ref": "#/$defs/u", "title": "A"}))),
            None
        );
    }

    #[test]
    fn references_that_multiply_or_circle_come_to_an_end() {
        let twice = |name: &str| {
            let to = json!({"$ref": format!("#/$defs/{name}"), "title": "x"});
            json!({"type": "object", "properties": {"a": to, "b": to}})
        };
        let mut schema = twice("l0");
        for level in 0..30 {
            schema["$defs"][format!("l{level}")] = twice(&format!("l{}", (level + 1) % 30));
        }
        assert_eq!(most_tokens(&schema), None);
        let tree = json!({
            "type": "object",
            "properties": {"child": {"$ref": "#", "description": "a tree"}}
        });
        assert!(most_tokens(&tree).is_some());
    }
}
