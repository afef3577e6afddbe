//! [`Place`]: a place in an answer, and what the schema says about it.

use serde_json::Value;

use super::number::order;
use crate::schema::reading::{required, views};

/// What sort of value stands at a place. Candidates first agree on the sort, then on the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    List,
    Object,
}

impl Kind {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Object,
        }
    }

    fn of_type(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "number" | "integer" => Self::Number,
            "string" => Self::Text,
            "array" => Self::List,
            "object" => Self::Object,
            _ => return None,
        })
    }
}

/// A place in an answer with every schema that speaks about it.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    root: &'a Value,
    views: Vec<&'a Value>,
}

impl<'a> Place<'a> {
    pub(super) fn root(root: &'a Value) -> Self {
        Self {
            root,
            views: views(root, root),
        }
    }

    fn deeper(&self, schemas: impl Iterator<Item = &'a Value>) -> Self {
        let root = self.root;
        Self {
            root,
            views: schemas.flat_map(|schema| views(root, schema)).collect(),
        }
    }

    /// The place of a property.
    pub(super) fn property(&self, name: &str) -> Self {
        self.deeper(self.views.iter().filter_map(|view| {
            let named = view.get("properties").and_then(|all| all.get(name));
            named.or_else(|| view.get("additionalProperties"))
        }))
    }

    /// The place of an item of a list.
    pub(super) fn item(&self, index: usize) -> Self {
        self.deeper(self.views.iter().filter_map(|view| {
            let own = view.get("prefixItems").and_then(|prefix| prefix.get(index));
            own.or_else(|| view.get("items"))
        }))
    }

    /// The properties that the schema names, in its order.
    pub(super) fn property_names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for view in &self.views {
            let properties = view.get("properties").and_then(Value::as_object);
            for name in properties.into_iter().flat_map(|all| all.keys()) {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// Whether every valid value has this property: some schema that is not a mere alternative says so.
    pub(super) fn requires(&self, name: &str) -> bool {
        !self.has_alternatives()
            && self.views.iter().any(|view| {
                let fields = view.as_object();
                fields.is_some_and(|fields| required(fields).any(|known| known == name))
            })
    }

    /// Whether valid values may have properties that the schema does not name.
    pub(super) fn is_open(&self) -> bool {
        self.has_alternatives()
            || !self
                .views
                .iter()
                .any(|view| view.get("additionalProperties") == Some(&Value::Bool(false)))
    }

    /// Whether the value is one of a list: then numbers are names and have no median.
    pub(super) fn is_choice(&self) -> bool {
        self.views
            .iter()
            .any(|view| view.get("enum").is_some() || view.get("const").is_some())
    }

    /// Whether a list is a set: its items are unique, or choices.
    pub(super) fn is_set(&self) -> bool {
        let unique = |view: &&Value| view.get("uniqueItems") == Some(&Value::Bool(true));
        let tuple = self
            .views
            .iter()
            .any(|view| view.get("prefixItems").is_some());
        !tuple && (self.views.iter().any(unique) || self.item(0).is_choice())
    }

    fn has_alternatives(&self) -> bool {
        let combined = |view: &&Value| view.get("anyOf").is_some() || view.get("oneOf").is_some();
        self.views.iter().any(combined)
    }

    /// Whether all valid values are of one kind; false also where this cannot be seen.
    pub(super) fn has_one_kind(&self) -> bool {
        if self.has_alternatives() {
            return false;
        }
        let typed = self.views.iter().any(|view| {
            let name = view.get("type").and_then(Value::as_str);
            name.and_then(Kind::of_type).is_some()
        });
        let mut choices = self.choices().into_iter().flatten();
        let first = choices.next().map(Kind::of);
        typed || (first.is_some() && choices.all(|choice| Some(Kind::of(choice)) == first))
    }

    /// How many different values are valid here; `None` where it is not a plain choice.
    pub(super) fn choice_count(&self) -> Option<usize> {
        if self.has_alternatives() {
            return None;
        }
        let is_boolean = |view: &&Value| view.get("type").is_some_and(|name| name == "boolean");
        let both = [Value::Bool(true), Value::Bool(false)];
        let choices: Vec<&Value> = match self.choices() {
            Some(choices) => choices,
            None if self.views.iter().any(is_boolean) => both.iter().collect(),
            None => return None,
        };
        let valid = |value: &&Value| self.views.iter().all(|view| allows(view, value));
        let valid: Vec<&Value> = choices.into_iter().filter(valid).collect();
        let different = |(at, value): &(usize, &&Value)| {
            !valid[..*at].iter().any(|earlier| same(earlier, value))
        };
        Some(valid.iter().enumerate().filter(different).count())
    }

    fn choices(&self) -> Option<Vec<&'a Value>> {
        self.views.iter().find_map(|view| {
            if let Some(only) = view.get("const") {
                return Some(vec![only]);
            }
            Some(view.get("enum")?.as_array()?.iter().collect())
        })
    }
}

/// Whether type, enum and const of one schema let a scalar through.
fn allows(view: &Value, value: &Value) -> bool {
    let of_type = |name: &Value| {
        let whole = value.as_f64().is_none_or(|number| number.fract() == 0.0);
        (whole || name != "integer")
            && name.as_str().and_then(Kind::of_type) == Some(Kind::of(value))
    };
    let typed = match view.get("type") {
        Some(Value::Array(names)) => names.iter().any(of_type),
        Some(name) => of_type(name),
        None => true,
    };
    let listed = view.get("enum").and_then(Value::as_array);
    typed
        && listed.is_none_or(|listed| listed.iter().any(|one| same(one, value)))
        && view.get("const").is_none_or(|only| same(only, value))
}

/// Whether two choices are one to JSON Schema: 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order(a, b).is_eq(),
        _ => a == b,
    }
}
