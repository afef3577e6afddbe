//! Templates over a row's fields: minijinja, with a missing field as an error that names it.

mod bounds;

use minijinja::{
    Environment, UndefinedBehavior, Value,
    value::{Serde, ValueKind},
};
use serde_json::{Map, Value as Json};

/// Steps that one rendering may take: a loop in a template must end.
const FUEL: u64 = 1_000_000;

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    fields: Vec<String>,
    what: &'static str,
}

/// Why a row cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// The row lacks a field that the template names.
    MissingField(String),
    /// Anything else, in minijinja's words.
    Failed(String),
}

impl Template {
    /// Compiles a template; `what` names it in messages (`--prompt`, `--system`).
    ///
    /// # Errors
    /// The template's own syntax is wrong, or it is more than can be compiled; the message tells the place.
    pub fn new(what: &'static str, source: String) -> Result<Self, String> {
        bounds::check(&source).map_err(|error| format!("{what}: {error}"))?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        // answers are text, not HTML
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment
            .add_template_owned(what, source)
            .map_err(|error| format!("{what}: {error}"))?;
        let template = environment
            .get_template(what)
            .map_err(|error| format!("{what}: {error}"))?;
        let mut fields: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        fields.sort();
        Ok(Self {
            environment,
            fields,
            what,
        })
    }

    /// Whether it names this field.
    pub fn names(&self, field: &str) -> bool {
        let names = |path: &String| path.split('.').next() == Some(field);
        self.fields.iter().any(names)
    }

    /// Renders the template over a row's fields. A null field counts as missing, so `default()` accepts it.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn render(&self, row: &Map<String, Json>) -> Result<String, TemplateError> {
        let context = without_nulls(row);
        let render = || {
            let template = self.environment.get_template(self.what)?;
            template.render(&context)
        };
        render().map_err(|error| {
            let missing = self.fields.iter().find(|field| is_missing(&context, field));
            match (error.kind(), missing) {
                (minijinja::ErrorKind::UndefinedError, Some(field)) => {
                    TemplateError::MissingField(field.clone())
                }
                _ => TemplateError::Failed(format!("{}: {error}", self.what)),
            }
        })
    }
}

/// The fields as a template sees them: those that are null are not there, however deep they stand.
fn without_nulls(fields: &Map<String, Json>) -> Value {
    let there = fields.iter().filter(|(_, value)| !value.is_null());
    Value::from_pairs(there.map(|(name, value)| {
        let value = match value {
            Json::Object(fields) => without_nulls(fields),
            value => Value::from(Serde(value)),
        };
        (name.clone(), value)
    }))
}

/// Whether a dotted name leads nowhere.
fn is_missing(context: &Value, field: &str) -> bool {
    let mut value = context.clone();
    for name in field.split('.') {
        match value.get_attr(name) {
            Ok(inner) if inner.kind() != ValueKind::Undefined => value = inner,
            // what is no map has no fields
            _ => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(template: &str, row: Json) -> Result<String, TemplateError> {
        let Json::Object(row) = row else {
            panic!("an object")
        };
        Template::new("--prompt", template.to_owned())
            .unwrap()
            .render(&row)
    }

    #[test]
    fn fields_are_filled_in_unescaped() {
        let row = json!({"q": "1 < 2 & 3", "n": {"x": [1, 2]}});
        assert_eq!(render("{{ q }} {{ n.x[1] }}", row).unwrap(), "1 < 2 & 3 2");
    }

    #[test]
    fn a_missing_or_null_field_is_named_unless_it_has_a_default() {
        let missing = Err(TemplateError::MissingField("b".to_owned()));
        assert_eq!(render("{{ a }}{{ b }}", json!({"a": 1})), missing);
        assert_eq!(
            render("{{ a }}{{ b }}", json!({"a": 1, "b": null})),
            missing
        );
        let text = render("{{ b | default('none') }}", json!({"b": null}));
        assert_eq!(text.unwrap(), "none");
        let nested = Err(TemplateError::MissingField("o.b".to_owned()));
        assert_eq!(
            render("{{ o.a }}{{ o.b }}", json!({"o": {"a": 1, "b": null}})),
            nested
        );
        assert_eq!(render("{{ o.a }}{{ o.b }}", json!({"o": {"a": 1}})), nested);
        let text = render("{{ o.b | default('none') }}", json!({"o": {"b": null}}));
        assert_eq!(text.unwrap(), "none");
    }

    #[test]
    fn a_broken_template_and_an_endless_one_are_errors() {
        assert!(
            Template::new("--prompt", "{{ a".to_owned())
                .unwrap_err()
                .contains("--prompt")
        );
        let endless =
            "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(matches!(
            render(endless, json!({})),
            Err(TemplateError::Failed(_))
        ));
    }
}
