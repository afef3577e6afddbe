//! JSON that breaks the schema it was asked for.

use serde_json::{Map, Value, json};

use super::fit::fits;

/// The instance with one member of a wrong type, as a careless model writes it; where that breaks nothing, something else
/// altogether. A schema that every value fits gets its instance.
///
/// Only types are broken: what a client leaves out of the schema for the wire, and then checks by itself (lengths,
/// patterns, optional members), decides nothing here.
pub(super) fn broken(schema: &Value, instance: Value) -> Value {
    let breaks = |value: &Value| !fits(schema, schema, value);
    let wrong = [
        json!("off schema"),
        json!(-0.5),
        json!([]),
        json!({}),
        json!(true),
        Value::Null,
    ];
    let none = Map::new();
    let members = instance.as_object().unwrap_or(&none);
    let spoilt = members.keys().flat_map(|name| {
        wrong.iter().map(|wrong| {
            let mut members = members.clone();
            members.insert(name.clone(), wrong.clone());
            Value::Object(members)
        })
    });
    let found = spoilt.chain(wrong.iter().cloned()).find(breaks);
    found.unwrap_or(instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_a_wrong_type_comes_first() {
        let schema = json!({"type": "object", "properties": {"any": {}, "score": {"type": ["number", "string", "null"]}}});
        assert_eq!(
            broken(&schema, json!({"any": 1, "score": 3})),
            json!({"any": 1, "score": []})
        );
    }

    #[test]
    fn something_else_altogether_comes_next() {
        let free = json!({"type": "object"});
        assert_eq!(broken(&free, json!({"a": 1})), json!("off schema"));
        let text = json!({"type": "string"});
        assert_eq!(broken(&text, json!("x")), json!(-0.5));
        let null = json!({"type": "null"});
        assert_eq!(broken(&null, Value::Null), json!("off schema"));
    }

    #[test]
    fn what_every_value_fits_cannot_be_broken() {
        assert_eq!(broken(&json!({}), json!("x")), json!("x"));
    }
}
