//! `analyze_documents`: the same question about each of many documents, with typed answers.

use std::collections::BTreeMap;

use antiphon_core::{
    Error,
    patterns::{
        AnalysisKind, Analyze, AnalyzedDocument, Classification, Classify, Document, Extract,
        Extraction, JudgeSentiment, NoDocuments, Sentiment, Summarize, Summary, Tone,
    },
};
use antiphon_mcp::Call;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Models,
    choice::Choice,
    documents::{self, AT_ONCE, Text},
    facts,
    spending::{Failure, Spending, nothing_came_out, sum},
    typed::TypedTool,
    watched::Watch,
};

/// The tool.
pub(super) struct AnalyzeDocuments;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// What is read, 8 MiB together at most. Each must fit into the model's context.
    #[schemars(length(min = 1, max = 256))]
    documents: Vec<Text>,
    /// What is asked about each. summary: two or three sentences. sentiment: positive, negative or neutral, and how sure.
    /// extract: the values of `fields`. classify: the one of `categories` that fits best, and how sure.
    kind: Kind,
    /// For extract: the names of what to look for, such as ["invoice number", "total"].
    fields: Option<Vec<String>>,
    /// For classify: what to choose from, such as ["complaint", "order"].
    categories: Option<Vec<String>>,
    /// Model: provider/model, or a name of the server's configuration; `client` is this client's own. Leave it out for the
    /// usual one.
    model: Option<String>,
    /// The most that is written about each document, in tokens.
    #[schemars(range(min = 1))]
    max_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Summary,
    Sentiment,
    Extract,
    Classify,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The documents, in the order in which they were given.
    documents: Vec<Analyzed>,
    /// How many documents have each sentiment or category; null for other kinds.
    counts: Option<BTreeMap<String, usize>>,
    /// How many documents failed.
    failed: usize,
    /// The model that was asked.
    model: String,
    #[serde(flatten)]
    spending: Spending,
}

/// What became of a document.
#[derive(Debug, Serialize, JsonSchema)]
struct Analyzed {
    id: String,
    /// Of a summary {summary}; of a sentiment {sentiment, confidence}; of extract each field with its value, or null where
    /// the document does not tell it; of classify {category, confidence}. Null where it failed.
    result: Option<Analysis>,
    /// Why there is no result.
    error: Option<Failure>,
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Analysis {
    Summary(Summary),
    Sentiment(Sentiment),
    Extraction(Extraction),
    Classification(Classification),
}

/// An object, whose fields are those of the kind: told in words, since a choice of objects says less to most readers.
impl JsonSchema for Analysis {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Analysis".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "null"]},
        })
    }
}

impl Analysis {
    /// What it is counted under.
    fn word(&self) -> Option<&str> {
        match self {
            Self::Sentiment(found) => Some(match found.sentiment {
                Tone::Positive => "positive",
                Tone::Negative => "negative",
                Tone::Neutral => "neutral",
            }),
            Self::Classification(found) => Some(&found.category),
            Self::Summary(_) | Self::Extraction(_) => None,
        }
    }
}

impl TypedTool for AnalyzeDocuments {
    type Arguments = Arguments;
    type Output = Output;

    const NAME: &'static str = "analyze_documents";
    const TITLE: &'static str = "Analyze documents one by one";
    const DESCRIPTION: &'static str = "\
        Asks the same about each of many documents, in parallel, and gives a typed result for each: a summary, \
        the sentiment, the values of named fields, or one of given categories. Use it to sort, tabulate or skim a \
        set of texts without reading them yourself. One call of a model for each document. Results come in the \
        order of the documents, by their ids; a document that fails says why and does not fail the others.";

    async fn run(models: &Models, arguments: Arguments, call: &Call) -> Result<Output, Error> {
        let Arguments {
            documents,
            kind,
            fields,
            categories,
            model,
            max_tokens,
        } = arguments;
        facts::check_max_tokens(max_tokens)?;
        only_for("fields", fields.is_some(), Kind::Extract, kind)?;
        only_for("categories", categories.is_some(), Kind::Classify, kind)?;
        let documents = documents::taken(documents)?;
        let ask = Asking {
            choice: models.choose(model.as_deref(), call)?,
            call,
            max_tokens,
        };
        match kind {
            Kind::Summary => {
                let kind = Summarize::default();
                ask.about(kind, documents, Analysis::Summary).await
            }
            Kind::Sentiment => {
                let kind = JudgeSentiment::default();
                ask.about(kind, documents, Analysis::Sentiment).await
            }
            Kind::Extract => {
                let kind = Extract::new(fields.unwrap_or_default()).map_err(facts::refused)?;
                ask.about(kind, documents, Analysis::Extraction).await
            }
            Kind::Classify => {
                let names = categories.unwrap_or_default();
                let kind = Classify::new(names).map_err(facts::refused)?;
                ask.about(kind, documents, Analysis::Classification).await
            }
        }
    }
}

/// Refuses an argument that would have no effect: whoever wrote it meant something.
fn only_for(name: &str, is_said: bool, of: Kind, kind: Kind) -> Result<(), Error> {
    if !is_said || kind == of {
        return Ok(());
    }
    let of = format!("{of:?}").to_lowercase();
    Err(facts::refused(format!("{name} go with the kind {of} only")))
}

/// Who is asked, and how.
struct Asking<'a> {
    choice: Choice,
    call: &'a Call,
    max_tokens: Option<u64>,
}

impl Asking<'_> {
    async fn about<K: AnalysisKind>(
        self,
        kind: K,
        documents: Vec<Document>,
        analysis: impl Fn(K::Analysis) -> Analysis,
    ) -> Result<Output, Error> {
        let watch = Watch::new(self.call.progress(), documents.len());
        let model = watch.over(self.choice.model);
        let outcomes = analyze(model, kind, self.max_tokens).run(documents).await;
        let outcomes = outcomes.map_err(|none: NoDocuments| facts::refused(none))?;
        watch.finish();
        let took = sum(outcomes.iter().map(|one| one.spent));
        if outcomes.iter().all(|one| one.outcome.is_err()) {
            return Err(nothing_came_out(failures(&outcomes), &took));
        }
        let failed = failures(&outcomes).count();
        let documents: Vec<Analyzed> = outcomes
            .into_iter()
            .map(|one| {
                let error = one.outcome.as_ref().err().map(Failure::from);
                let result = one.outcome.ok().map(&analysis);
                let id = one.id;
                Analyzed { id, result, error }
            })
            .collect();
        Ok(Output {
            counts: counts(&documents),
            documents,
            failed,
            model: self.choice.name,
            spending: Spending::new(&took),
        })
    }
}

/// Asks about all documents at once.
pub(super) fn analyze<K: AnalysisKind>(
    model: antiphon_core::SharedModel,
    kind: K,
    max_tokens: Option<u64>,
) -> Analyze<K> {
    let pattern = Analyze::new(model, kind).with_max_concurrent(AT_ONCE);
    match max_tokens {
        Some(cap) => pattern.with_param("max_tokens", cap.into()),
        None => pattern,
    }
}

/// The documents that failed, and why.
pub(super) fn failures<A>(
    outcomes: &[AnalyzedDocument<A>],
) -> impl Iterator<Item = (&str, &Error)> {
    let outcomes = outcomes.iter();
    outcomes.filter_map(|one| Some((one.id.as_str(), one.outcome.as_ref().err()?)))
}

fn counts(documents: &[Analyzed]) -> Option<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for result in documents.iter().filter_map(|one| one.result.as_ref()) {
        *counts.entry(result.word()?.to_owned()).or_insert(0) += 1;
    }
    Some(counts)
}
