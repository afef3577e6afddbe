use super::*;
use antiphon_core::{
    ErrorKind, Schema,
    schema::reading::{accepts_null, required},
};
use proptest::prelude::*;
use serde_json::{Map, json};

#[test]
fn strict_repairs() {
    let object = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let cases = [
        // optional becomes nullable, in the shortest form
        (
            json!({"type": "object", "required": ["a"], "properties": {
                "a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": ["string", "null"]},
                "d": {"enum": ["x"]}, "e": {"anyOf": [{"type": "string"}]}, "f": {}}}),
            object(
                json!({"a": {"type": "string"}, "b": {"type": ["integer", "null"]}, "c": {"type": ["string", "null"]},
                    "d": {"anyOf": [{"enum": ["x"]}, {"type": "null"}]},
                    "e": {"anyOf": [{"anyOf": [{"type": "string"}]}, {"type": "null"}]}, "f": {}}),
                json!(["a", "b", "c", "d", "e", "f"]),
            ),
        ),
        // objects are closed at every depth
        (
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "array", "items":
                {"type": "object", "required": ["b"], "properties": {"b": {"type": "null"}}, "additionalProperties": true}}}}),
            object(
                json!({"a": {"type": "array", "items": object(json!({"b": {"type": "null"}}), json!(["b"]))}}),
                json!(["a"]),
            ),
        ),
        // what is not taken goes into the description; what constrains nothing goes without a word
        (
            json!({"$schema": "x", "type": "object", "required": ["a"], "properties": {
                "a": {"type": "string", "minLength": 2, "default": "d", "description": "An a.", "pattern": "^a"}}}),
            object(
                json!({"a": {"type": "string", "description": "An a. (minLength: 2)", "pattern": "^a"}}),
                json!(["a"]),
            ),
        ),
        // a single allOf is merged, a reference with siblings is inlined, one alone stays
        (
            json!({"type": "object", "required": ["a", "b", "c"], "properties": {
                "a": {"allOf": [{"$ref": "#/$defs/s"}], "description": "A."},
                "b": {"$ref": "#/$defs/s", "description": "B."}, "c": {"$ref": "#/$defs/s"}},
                "$defs": {"s": {"type": "string", "description": "S."}}}),
            json!({"type": "object", "properties": {
                "a": {"description": "A.", "type": "string"},
                "b": {"type": "string", "description": "B."}, "c": {"$ref": "#/$defs/s"}},
                "required": ["a", "b", "c"], "additionalProperties": false,
                "$defs": {"s": {"type": "string", "description": "S."}}}),
        ),
        // several entries of allOf unite their properties
        (
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}},
                "allOf": [{"required": ["b"], "properties": {"b": {"type": "string"}}}]}),
            object(
                json!({"a": {"type": "string"}, "b": {"type": "string"}}),
                json!(["a", "b"]),
            ),
        ),
        // oneOf becomes anyOf; a root that is a reference becomes the object it names
        (
            json!({"$ref": "#/$defs/r", "$defs": {"r": {"type": "object", "required": ["a"],
                "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "null"}]}}}}}),
            json!({"type": "object", "required": ["a"], "additionalProperties": false,
                "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
                "$defs": {"r": {"type": "object", "required": ["a"], "additionalProperties": false,
                    "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}}}),
        ),
    ];
    for (schema, expected) in cases {
        let own = for_openai(&schema).unwrap();
        assert!(own.strict);
        assert_eq!(own.schema, expected);
    }
}

#[test]
fn a_recursive_schema_with_siblings_has_an_end() {
    let schema = json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["next"],
        "properties": {"next": {"$ref": "#/$defs/node", "description": "the next"}}}}});
    let own = for_openai(&schema).unwrap();
    assert!(own.strict);
    assert!(own.schema.to_string().len() < 1000);
    let circle = json!({"type": "object", "allOf": [{"$ref": "#"}]});
    assert!(for_openai(&circle).is_ok());
}

#[test]
fn what_strict_mode_cannot_express_is_sent_as_it_is() {
    let open = [
        json!({"type": "object"}),
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        json!({"type": "object", "required": ["a"], "properties": {"b": {}}}),
        json!({"type": "object", "properties": {"tags": {"type": "object", "additionalProperties": true}}}),
    ];
    for schema in open {
        let own = for_openai(&schema).unwrap();
        assert!(!own.strict);
        assert_eq!(own.schema, schema);
        let error = for_anthropic(&schema).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
    let empty = json!({"type": "object", "properties": {}, "additionalProperties": false});
    assert!(for_openai(&empty).unwrap().strict);
    assert!(for_anthropic(&empty).is_ok());
}

#[test]
fn schemas_that_cannot_be_sent() {
    let cases = [
        (json!({"type": "array", "items": {}}), "root"),
        (json!({"anyOf": [{"type": "object"}]}), "root"),
        (json!(true), "root"),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}),
            "#/$defs/none",
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "https://x/y"}}}),
            "https://x/y",
        ),
    ];
    for (schema, expected) in cases {
        let error = for_openai(&schema).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn anthropic_subset() {
    let schema = json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "integer", "minimum": 1, "maximum": 5, "description": "An a."},
        "b": {"type": "string", "format": "email", "maxLength": 9},
        "c": {"type": "string", "format": "iri"},
        "d": {"type": "array", "minItems": 1, "items": {"oneOf": [{"type": "string"}, {"type": "null"}]}},
        "e": {"type": "array", "minItems": 2},
        "f": {"allOf": [{"$ref": "#/$defs/s"}]}},
        "$defs": {"s": {"type": "string"}}});
    let expected = json!({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
        "a": {"type": "integer", "description": "An a. (minimum: 1, maximum: 5)"},
        "b": {"type": "string", "format": "email", "description": "(maxLength: 9)"},
        "c": {"type": "string", "description": "(format: \"iri\")"},
        "d": {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "e": {"type": "array", "description": "(minItems: 2)"},
        "f": {"allOf": [{"$ref": "#/$defs/s"}]}},
        "$defs": {"s": {"type": "string"}}});
    assert_eq!(for_anthropic(&schema).unwrap(), expected);
}

/// Schemas of objects, lists and scalars, some properties optional, some nullable.
fn schemas() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(json!({"type": "string", "maxLength": 3})),
        Just(json!({"type": ["integer", "null"]})),
        Just(json!({"enum": ["a", "b"]})),
    ];
    let any = scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|items| json!({"type": "array", "items": items})),
            object_of(inner),
        ]
    });
    object_of(any.boxed())
}

fn object_of(inner: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop::collection::vec((inner, any::<bool>()), 1..4).prop_map(|properties| {
        let name = |index: usize| format!("p{index}");
        let required: Vec<_> = (0..properties.len())
            .filter(|index| properties[*index].1)
            .map(name)
            .collect();
        let properties: Map<String, Value> = properties
            .into_iter()
            .enumerate()
            .map(|(index, (schema, _))| (name(index), schema))
            .collect();
        json!({"type": "object", "properties": properties, "required": required})
    })
}

/// Every object in the schema, and whether strict mode takes it.
fn all_strict(schema: &Value) -> bool {
    let Value::Object(fields) = schema else {
        return true;
    };
    let own = match fields.get("properties").and_then(Value::as_object) {
        None => true,
        Some(properties) => {
            let all = properties.keys().eq(required(fields));
            all && fields["additionalProperties"] == false && properties.values().all(all_strict)
        }
    };
    let branches = fields.get("anyOf").and_then(Value::as_array);
    own && !fields.contains_key("maxLength")
        && fields.get("items").is_none_or(all_strict)
        && branches.into_iter().flatten().all(all_strict)
}

/// An answer of a strict schema in which everything that may be null is null.
fn nullest(root: &Value, schema: &Value) -> Value {
    if accepts_null(root, schema) {
        return Value::Null;
    }
    if let Some(properties) = schema["properties"].as_object() {
        let fields = properties
            .iter()
            .map(|(name, schema)| (name.clone(), nullest(root, schema)));
        return Value::Object(fields.collect());
    }
    match schema.get("items") {
        Some(items) => json!([nullest(root, items)]),
        None => json!("a"),
    }
}

/// Whether required properties are there and no value is null that may not be.
fn fits(root: &Value, schema: &Value, answer: &Value) -> bool {
    if answer.is_null() {
        return accepts_null(root, schema);
    }
    let Some(properties) = schema["properties"].as_object() else {
        let items = answer.as_array().into_iter().flatten();
        return items
            .into_iter()
            .all(|item| fits(root, &schema["items"], item));
    };
    let own = schema.as_object().expect("an object");
    required(own).all(|name| answer.get(name).is_some())
        && properties.iter().all(|(name, schema)| {
            answer
                .get(name)
                .is_none_or(|value| fits(root, schema, value))
        })
}

proptest! {
    #[test]
    fn repaired_schemas_are_strict_and_their_answers_fit_the_original(schema in schemas()) {
        let own = for_openai(&schema).unwrap();
        prop_assert!(own.strict);
        prop_assert!(all_strict(&own.schema), "{}", own.schema);
        prop_assert_eq!(&for_openai(&own.schema).unwrap().schema, &own.schema);
        let answer = nullest(&own.schema, &own.schema).to_string();
        let answer = Schema::new(schema.clone()).unwrap().read(&answer).unwrap();
        prop_assert!(fits(&schema, &schema, &answer), "{}", answer);
    }
}
