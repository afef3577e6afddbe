//! The walk that rewrites a schema for a provider.

use antiphon_core::{
    Error,
    schema::reading::{accepts_null, required},
};
use serde_json::{Map, Value, json};

use super::{
    Subset,
    references::{inline, merge_all_of, target},
};
use crate::dialects::wire::bad_request;

/// Deeper schemas are refused: providers stop at 10 levels, and a circle has no end.
const DEEPEST: usize = 64;

/// Keywords that hold no constraint on the answer: they are left out without a note.
const SILENT: [&str; 9] = [
    "$schema",
    "$id",
    "$comment",
    "$anchor",
    "$vocabulary",
    "default",
    "examples",
    "deprecated",
    "readOnly",
];

/// One walk over one schema.
#[derive(Debug)]
pub(super) struct Rewrite<'a> {
    subset: &'static Subset,
    root: &'a Value,
    path: Vec<String>,
    /// References being inlined, outermost first.
    open: Vec<String>,
    open_object: Option<String>,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(subset: &'static Subset, root: &'a Value) -> Self {
        Self {
            subset,
            root,
            path: Vec::new(),
            open: Vec::new(),
            open_object: None,
        }
    }

    /// Rewrites the whole schema.
    pub(super) fn root(&mut self) -> Result<Value, Error> {
        self.schema(self.root.clone())
    }

    /// Path of the first object with free property names, which no subset can express.
    pub(super) fn open_object(&self) -> Option<&str> {
        self.open_object.as_deref()
    }

    fn schema(&mut self, schema: Value) -> Result<Value, Error> {
        let Value::Object(mut fields) = schema else {
            return Ok(schema);
        };
        if self.path.len() > DEEPEST {
            return Err(bad_request("the schema is nested too deeply"));
        }
        let opened = self.open.len();
        self.join_references(&mut fields)?;
        self.keep_keywords(&mut fields);
        for keyword in ["$defs", "definitions", "properties"] {
            self.children(&mut fields, keyword)?;
        }
        for keyword in ["anyOf", "allOf"] {
            self.branches(&mut fields, keyword)?;
        }
        if let Some(items) = fields.shift_remove("items") {
            let items = self.at("items", |walk| walk.schema(items))?;
            fields.insert("items".into(), items);
        }
        self.close_object(&mut fields);
        self.open.truncate(opened);
        Ok(Value::Object(fields))
    }

    fn join_references(&mut self, fields: &mut Map<String, Value>) -> Result<(), Error> {
        let refers = target(self.root, fields)?.is_some();
        if !self.subset.plain {
            return Ok(());
        }
        // alone it may stay; what a reference inlines may itself be a reference with siblings
        while refers && fields.len() > 1 {
            match inline(self.root, fields, &self.open)? {
                Some(reference) => self.open.push(reference),
                None => break,
            }
        }
        merge_all_of(self.root, fields, &mut self.open)
    }

    /// Leaves out what the provider refuses, and tells the model in words.
    fn keep_keywords(&self, fields: &mut Map<String, Value>) {
        if let Some(branches) = fields.shift_remove("oneOf") {
            fields.entry("anyOf").or_insert(branches);
        }
        let mut notes = Vec::new();
        let subset = self.subset;
        fields.retain(|keyword, value| {
            let stays = match keyword.as_str() {
                "format" => subset
                    .formats
                    .is_none_or(|known| known.iter().any(|format| value == format)),
                "minItems" => value
                    .as_u64()
                    .is_some_and(|least| least <= subset.most_min_items),
                // a list of schemas is the old form of a tuple
                "items" => !value.is_array(),
                _ => subset.keywords.contains(&keyword.as_str()),
            };
            if !stays && !SILENT.contains(&keyword.as_str()) {
                notes.push(format!("{keyword}: {value}"));
            }
            stays
        });
        if notes.is_empty() {
            return;
        }
        let notes = format!("({})", notes.join(", "));
        let description = match fields.get("description").and_then(Value::as_str) {
            Some(words) => format!("{words} {notes}"),
            None => notes,
        };
        fields.insert("description".into(), description.into());
    }

    fn children(&mut self, fields: &mut Map<String, Value>, keyword: &str) -> Result<(), Error> {
        let Some(Value::Object(children)) = fields.get_mut(keyword) else {
            return Ok(());
        };
        for (name, child) in children {
            let path = format!("{keyword}/{name}");
            *child = self.at(&path, |walk| walk.schema(child.take()))?;
        }
        Ok(())
    }

    fn branches(&mut self, fields: &mut Map<String, Value>, keyword: &str) -> Result<(), Error> {
        let Some(Value::Array(branches)) = fields.get_mut(keyword) else {
            return Ok(());
        };
        for (index, branch) in branches.iter_mut().enumerate() {
            let path = format!("{keyword}/{index}");
            *branch = self.at(&path, |walk| walk.schema(branch.take()))?;
        }
        Ok(())
    }

    fn at<T>(&mut self, step: &str, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.to_owned());
        let result = walk(self);
        self.path.pop();
        result
    }

    /// Closes an object to other properties; where each must be required, optional ones take null instead.
    fn close_object(&mut self, fields: &mut Map<String, Value>) {
        let has_type = match fields.get("type") {
            Some(Value::Array(types)) => types.iter().any(|name| name == "object"),
            Some(name) => name == "object",
            None => fields.contains_key("properties"),
        };
        if !has_type {
            return;
        }
        let named = fields.get("properties").and_then(Value::as_object);
        let named: Vec<String> = named.into_iter().flat_map(Map::keys).cloned().collect();
        let closed = fields.get("additionalProperties") == Some(&Value::Bool(false));
        let unnamed = required(fields).any(|name| !named.iter().any(|known| known == name));
        if unnamed || (named.is_empty() && !closed) {
            let path = format!("#/{}", self.path.join("/"));
            self.open_object.get_or_insert(path);
        }
        if self.subset.all_required {
            self.require_all(fields, &named);
        }
        fields.insert("additionalProperties".into(), json!(false));
    }

    fn require_all(&self, fields: &mut Map<String, Value>, named: &[String]) {
        let optional: Vec<&String> = named
            .iter()
            .filter(|name| !required(fields).any(|required| required == name.as_str()))
            .collect();
        if let Some(Value::Object(properties)) = fields.get_mut("properties") {
            for name in optional {
                if let Some(schema) = properties.get_mut(name)
                    && !accepts_null(self.root, schema)
                {
                    *schema = or_null(schema.take());
                }
            }
        } else {
            fields.insert("properties".into(), json!({}));
        }
        fields.insert("required".into(), json!(named));
    }
}

/// The schema or null. A plain type becomes a list of types, the shortest form.
fn or_null(mut schema: Value) -> Value {
    let plain = ["enum", "const", "anyOf", "$ref"]
        .iter()
        .all(|keyword| schema.get(*keyword).is_none());
    match schema.get_mut("type") {
        Some(Value::Array(types)) if plain => {
            types.push(json!("null"));
            schema
        }
        Some(name) if plain => {
            *name = json!([name.take(), "null"]);
            schema
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}
