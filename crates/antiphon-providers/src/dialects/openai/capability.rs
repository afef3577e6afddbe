//! What models of the provider `openai` refuse. Data: a new family is a row or a prefix.
//!
//! Other servers that speak this dialect take what they like, so these rules are not for them.

use serde_json::Value;

/// What one family of models refuses.
#[derive(Debug)]
pub(super) struct Capability {
    /// Names, or beginnings of names up to a `-` or `.`.
    models: &'static [&'static str],
    /// Beginnings of names that belong to the family and take everything.
    except: &'static [&'static str],
    /// Parameters refused under their old name: (old, new).
    pub(super) renamed: &'static [(&'static str, &'static str)],
    /// Parameters refused unless they have this value.
    pub(super) only_default: &'static [(&'static str, f64)],
}

/// Reasoning models (wire-formats.md, section 1): `max_tokens` is refused, sampling is fixed.
static CAPABILITIES: [Capability; 1] = [Capability {
    models: &["o1", "o3", "o4", "gpt-5", "gpt-6"],
    except: &["gpt-5-chat"],
    renamed: &[("max_tokens", "max_completion_tokens")],
    only_default: &[("temperature", 1.0), ("top_p", 1.0)],
}];

/// The rule for a model, where it has one. Fine-tuned names (`ft:gpt-5-mini:…`) follow their base.
pub(super) fn of_model(model: &str) -> Option<&'static Capability> {
    let model = model.strip_prefix("ft:").unwrap_or(model);
    let begins = |family: &&str| {
        model
            .strip_prefix(*family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', ':']))
    };
    CAPABILITIES
        .iter()
        .find(|rule| rule.models.iter().any(begins) && !rule.except.iter().any(begins))
}

impl Capability {
    /// The name under which the family takes a parameter.
    pub(super) fn new_name(&self, param: &str) -> Option<&'static str> {
        self.renamed
            .iter()
            .find(|(old, _)| *old == param)
            .map(|(_, new)| *new)
    }

    /// Whether the family refuses a parameter with this value.
    pub(super) fn refuses(&self, param: &str, value: &Value) -> bool {
        self.only_default
            .iter()
            .any(|(name, default)| *name == param && value.as_f64() != Some(*default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_by_name() {
        let cases = [
            ("o3", true),
            ("o3-mini-2025-01-31", true),
            ("gpt-5", true),
            ("gpt-5.1", true),
            ("gpt-5-mini", true),
            ("ft:gpt-5-mini:acme::x", true),
            ("gpt-5-chat-latest", false),
            ("gpt-4o-mini", false),
            ("o300", false),
            ("gpt-50", false),
        ];
        for (model, expected) in cases {
            assert_eq!(of_model(model).is_some(), expected, "{model}");
        }
    }
}
