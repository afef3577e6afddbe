//! What can be asked about a document: each kind has its instruction, its schema and its typed result.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Schema;

use super::{
    error::{InvalidKind, checked_names},
    run::AnalysisKind,
};

const SUMMARIZE: &str = "Summarise the document in two or three sentences.";
const SENTIMENT: &str = "Say whether the sentiment of the document is positive, negative or neutral, and how confident you \
are, from 0 to 1.";
const EXTRACT: &str = "Extract these fields from the document, each in the document's own words; a field that the document \
does not tell is null. Fields:";
const CLASSIFY: &str = "Choose the one category that fits the document best, and say how confident you are, from 0 to 1. \
Categories:";

/// Asks for a [`Summary`].
#[derive(Clone, Debug)]
pub struct Summarize {
    schema: Schema,
}

impl Default for Summarize {
    fn default() -> Self {
        Self {
            schema: Schema::of::<Summary>().expect("a derived schema is valid"),
        }
    }
}

/// A document in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Summary {
    /// Two or three sentences.
    #[schemars(length(min = 1))]
    pub summary: String,
}

impl AnalysisKind for Summarize {
    type Analysis = Summary;

    fn instruction(&self) -> String {
        SUMMARIZE.to_owned()
    }

    fn schema(&self) -> Schema {
        self.schema.clone()
    }
}

/// Asks for a [`Sentiment`].
#[derive(Clone, Debug)]
pub struct JudgeSentiment {
    schema: Schema,
}

impl Default for JudgeSentiment {
    fn default() -> Self {
        Self {
            schema: Schema::of::<Sentiment>().expect("a derived schema is valid"),
        }
    }
}

/// How a document feels about its matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Tone {
    /// In favour.
    Positive,
    /// Against.
    Negative,
    /// Neither.
    Neutral,
}

/// The tone of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Sentiment {
    /// The tone.
    pub sentiment: Tone,
    /// From 0 to 1, as the model sees it.
    #[schemars(range(min = 0, max = 1))]
    pub confidence: f64,
}

impl AnalysisKind for JudgeSentiment {
    type Analysis = Sentiment;

    fn instruction(&self) -> String {
        SENTIMENT.to_owned()
    }

    fn schema(&self) -> Schema {
        self.schema.clone()
    }
}

/// Asks for an [`Extraction`].
#[derive(Clone, Debug)]
pub struct Extract {
    fields: Vec<String>,
    schema: Schema,
}

impl Extract {
    /// Looks for these fields.
    ///
    /// # Errors
    /// No fields, one without a name, or one twice.
    pub fn new(fields: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, InvalidKind> {
        let fields = checked_names("field", fields)?;
        if fields.is_empty() {
            return Err(InvalidKind::NoFields);
        }
        let schema = extract_schema(&fields);
        Ok(Self { fields, schema })
    }

    /// The fields, in the order in which they were given.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }
}

/// What a document tells of the fields that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extraction {
    /// Each field with its value; `None` where the document does not tell it.
    pub fields: BTreeMap<String, Option<String>>,
}

impl Extraction {
    /// The value of a field, where the document tells it.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_deref()
    }
}

impl AnalysisKind for Extract {
    type Analysis = Extraction;

    fn instruction(&self) -> String {
        format!("{EXTRACT} {}", json!(self.fields))
    }

    fn schema(&self) -> Schema {
        self.schema.clone()
    }
}

/// Asks for a [`Classification`].
#[derive(Clone, Debug)]
pub struct Classify {
    categories: Vec<String>,
    schema: Schema,
}

impl Classify {
    /// Chooses among these categories.
    ///
    /// # Errors
    /// No categories, one without a name, or one twice.
    pub fn new(
        categories: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, InvalidKind> {
        let categories = checked_names("category", categories)?;
        if categories.is_empty() {
            return Err(InvalidKind::NoCategories);
        }
        let schema = classify_schema(&categories);
        Ok(Self { categories, schema })
    }

    /// The categories, in the order in which they were given.
    pub fn categories(&self) -> &[String] {
        &self.categories
    }
}

/// The category of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// One of those that were given.
    pub category: String,
    /// From 0 to 1, as the model sees it.
    pub confidence: f64,
}

impl AnalysisKind for Classify {
    type Analysis = Classification;

    fn instruction(&self) -> String {
        format!("{CLASSIFY} {}", json!(self.categories))
    }

    fn schema(&self) -> Schema {
        self.schema.clone()
    }
}

fn extract_schema(fields: &[String]) -> Schema {
    let value = json!({"type": ["string", "null"]});
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.clone(), value.clone()))
        .collect();
    let json = json!({
        "title": "Extraction",
        "type": "object",
        "properties": properties,
        "required": fields,
        "additionalProperties": false,
    });
    Schema::new(json).expect("names make a valid schema")
}

fn classify_schema(categories: &[String]) -> Schema {
    let json = json!({
        "title": "Classification",
        "type": "object",
        "properties": {
            "category": {"type": "string", "enum": categories},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["category", "confidence"],
        "additionalProperties": false,
    });
    Schema::new(json).expect("names make a valid schema")
}
