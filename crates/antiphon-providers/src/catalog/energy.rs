//! What is known of models that decides their energy, from `catalog/energy.json`.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::LazyLock,
};

use antiphon_core::account::{
    Range,
    carbon::{ModelParameters, NotEstimable},
};
use serde::{Deserialize, Serialize};

/// The provider whose models stand for those they are named after.
const SIM: &str = "sim";

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../catalog/energy.json"))
        .expect("the table is part of the program, and tests read it")
});

/// Models by name and alias, of all providers.
static BY_NAME: LazyLock<HashMap<String, Vec<&'static EnergyModel>>> = LazyLock::new(|| {
    let mut by_name: HashMap<String, Vec<&EnergyModel>> = HashMap::new();
    for model in models() {
        let names = std::iter::once(&model.name).chain(&model.aliases);
        names.for_each(|name| by_name.entry(name.to_lowercase()).or_default().push(model));
    }
    by_name
});

#[derive(Deserialize)]
struct Table {
    #[serde(flatten)]
    source: Source,
    models: Vec<EnergyModel>,
}

/// Where the values of a table come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub source: String,
    /// Where it is found.
    pub url: String,
    /// The version of its data.
    pub version: String,
    /// When it was read, `YYYY-MM-DD`.
    pub date: String,
    /// Under what terms.
    pub licence: String,
}

/// A reason to take an estimate with care, by the code that the method gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    /// The ADPe of the zone's electricity is not known: it is the world's.
    ElectricityMixAdpeWorld,
    /// The primary energy of the zone's electricity is not known: it is the world's.
    ElectricityMixPeWorld,
    /// The water of the zone's electricity is not known: it is the world's.
    ElectricityMixWueWorld,
    /// The model takes more than text, which is not part of the method.
    ModelArchMultimodal,
    /// The model's parameters were not published: they are guessed.
    ModelArchNotReleased,
}

impl Warning {
    /// Its code.
    pub fn code(self) -> &'static str {
        match self {
            Self::ElectricityMixAdpeWorld => "electricity-mix-adpe-world",
            Self::ElectricityMixPeWorld => "electricity-mix-pe-world",
            Self::ElectricityMixWueWorld => "electricity-mix-wue-world",
            Self::ModelArchMultimodal => "model-arch-multimodal",
            Self::ModelArchNotReleased => "model-arch-not-released",
        }
    }
}

/// In words.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ElectricityMixAdpeWorld => "the zone's ADPe is not known; it is the world's",
            Self::ElectricityMixPeWorld => {
                "the zone's primary energy is not known; it is the world's"
            }
            Self::ElectricityMixWueWorld => {
                "the water of the zone's electricity is not known; it is the world's"
            }
            Self::ModelArchMultimodal => "images and sound are not reckoned with",
            Self::ModelArchNotReleased => "the model's size was not published; it is guessed",
        })
    }
}

/// A model.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "Row")]
pub struct EnergyModel {
    /// Antiphon's name of its provider.
    pub provider: String,
    /// The provider's name of it.
    pub name: String,
    /// Other names of the very same model.
    pub aliases: Vec<String>,
    /// Size and pace.
    pub parameters: ModelParameters,
    /// What is to be said of them.
    pub warnings: BTreeSet<Warning>,
    /// Of a model that the source no longer has: the last version that had it.
    pub until: Option<String>,
}

/// A number, or two: the least and the most.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number or a pair of numbers, [least, most]"
)]
pub enum Span {
    /// Known.
    Exactly(f64),
    /// From, to.
    Between([f64; 2]),
}

impl From<Span> for Range {
    fn from(span: Span) -> Self {
        match span {
            Span::Exactly(value) => Self::exactly(value),
            Span::Between([min, max]) => Self { min, max },
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    provider: String,
    model: String,
    #[serde(default)]
    aliases: Vec<String>,
    total_b: Span,
    active_b: Span,
    tokens_per_s: Option<f64>,
    first_token_s: Option<f64>,
    #[serde(default)]
    warnings: BTreeSet<Warning>,
    until: Option<String>,
}

impl TryFrom<Row> for EnergyModel {
    type Error = NotEstimable;

    fn try_from(row: Row) -> Result<Self, NotEstimable> {
        let size = ModelParameters::new(row.total_b.into(), row.active_b.into())?;
        Ok(Self {
            parameters: size.with_pace(row.tokens_per_s, row.first_token_s)?,
            provider: row.provider,
            name: row.model,
            aliases: row.aliases,
            warnings: row.warnings,
            until: row.until,
        })
    }
}

/// Where the models' values come from.
pub fn source() -> &'static Source {
    &TABLE.source
}

/// All models, by provider and name.
pub fn models() -> &'static [EnergyModel] {
    &TABLE.models
}

/// The provider's model of the first of these names that is known, exactly so written but for capitals, or an alias. Models of the
/// simulated provider are those of all others, where only one has the name.
pub fn model<'a>(
    provider: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'static EnergyModel> {
    names.into_iter().find_map(|name| {
        let called_so = BY_NAME.get(&name.to_lowercase())?;
        match called_so.as_slice() {
            [only] if provider == SIM => Some(*only),
            _ => called_so
                .iter()
                .copied()
                .find(|model| model.provider == provider),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_or_aliases_and_the_first_that_is_known_wins() {
        let found = |provider: &str, names: &[&str]| {
            model(provider, names.iter().copied()).map(|model| model.name.as_str())
        };
        let sonnet = Some("claude-sonnet-4-5-20250929");
        assert_eq!(found("anthropic", &["claude-sonnet-4-5"]), sonnet);
        assert_eq!(found("sim", &["claude-sonnet-4-5"]), sonnet);
        assert_eq!(found("openai", &["claude-sonnet-4-5"]), None);
        assert_eq!(
            found("openai", &["gpt-4o-2099-01-01", "gpt-4o"]),
            Some("gpt-4o")
        );
        assert_eq!(
            found("openai", &["gpt-4o-mini-2099-01-01", "gpt-4"]),
            Some("gpt-4")
        );
        assert_eq!(found("openai", &["gpt-4o-2099-01-01"]), None);
        assert_eq!(
            found("openai", &["GPT-4o"]),
            Some("gpt-4o"),
            "case is nothing"
        );
        assert_eq!(found("openai", &[]), None);
        assert_eq!(found("sim", &["demo"]), None);
    }

    #[test]
    fn the_table_is_sorted_and_each_name_means_one_model() {
        let key = |model: &EnergyModel| (model.provider.clone(), model.name.clone());
        assert!(
            models()
                .windows(2)
                .all(|pair| key(&pair[0]) < key(&pair[1]))
        );
        for (name, called_so) in BY_NAME.iter() {
            let providers: BTreeSet<&str> =
                called_so.iter().map(|model| &*model.provider).collect();
            assert_eq!(providers.len(), called_so.len(), "{name}");
        }
        assert_eq!(models().len(), 108);
        assert_eq!(
            models()
                .iter()
                .filter(|model| model.until.is_some())
                .count(),
            7
        );
    }

    #[test]
    fn a_warning_is_written_as_its_code() {
        for model in models() {
            for warning in &model.warnings {
                assert_eq!(serde_json::to_value(warning).unwrap(), warning.code());
            }
        }
        assert_eq!(
            serde_json::to_value(Warning::ElectricityMixWueWorld).unwrap(),
            Warning::ElectricityMixWueWorld.code()
        );
    }
}
