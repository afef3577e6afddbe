//! `map_reduce`: one text from documents that no window holds.

use antiphon_core::{
    Error, ErrorKind,
    patterns::{
        Document, Expense, MapReduce as Pattern, MapReduceError, MappedDocument, OnFailure,
        map_reduce::{Cause, Ended},
    },
};
use antiphon_mcp::Call;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Models,
    documents::{self, AT_ONCE, Text},
    facts,
    spending::{Failure, Spending, nothing_came_out},
    typed::TypedTool,
    watched::Watch,
};

/// Texts that a reduce step takes at most.
const FAN_IN: usize = 10;

/// The tool.
pub(super) struct MapReduce;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// What is read, 8 MiB together at most. A document that is too long for the model is split.
    #[schemars(length(min = 1, max = 256))]
    documents: Vec<Text>,
    /// Instruction for each document alone: "List every date and what happens then."
    #[schemars(length(min = 1))]
    map: String,
    /// Instruction for making one text of all answers, in the order of the documents: "Merge the lists into one timeline."
    #[schemars(length(min = 1))]
    reduce: String,
    /// Model: provider/model, or a name of the server's configuration; `client` is this client's own. Leave it out for the
    /// usual one.
    model: Option<String>,
    /// The most that is written in each answer, in tokens; 1024 where nothing is said.
    #[schemars(range(min = 1))]
    max_tokens: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The one text; null where it could not be made, though documents have answers.
    text: Option<String>,
    /// Why there is no text.
    error: Option<Failure>,
    /// The documents, in the order in which they were given.
    documents: Vec<Mapped>,
    /// How many documents are missing in the text, wholly or in part.
    failed: usize,
    /// The model that was asked.
    model: String,
    #[serde(flatten)]
    spending: Spending,
}

/// What became of a document.
#[derive(Debug, Serialize, JsonSchema)]
struct Mapped {
    id: String,
    /// The answer about it; of a document that was split, the answers about its pieces one after the other; null where
    /// there is none.
    text: Option<String>,
    /// In how many pieces it was read.
    pieces: usize,
    /// Whether an answer ended at max_tokens.
    cut_off: bool,
    /// Why all or a part of it is missing: the first failure of its pieces.
    error: Option<Failure>,
}

impl From<&MappedDocument> for Mapped {
    fn from(document: &MappedDocument) -> Self {
        let mut answers = document.pieces.iter().flatten();
        Self {
            id: document.id.clone(),
            text: document.text(),
            pieces: document.pieces.len(),
            cut_off: answers.any(|answer| answer.cut_off),
            error: failure_of(document).map(Failure::from),
        }
    }
}

fn failure_of(document: &MappedDocument) -> Option<&Error> {
    document
        .pieces
        .iter()
        .find_map(|piece| piece.as_ref().err())
}

impl TypedTool for MapReduce {
    type Arguments = Arguments;
    type Output = Output;

    const NAME: &'static str = "map_reduce";
    const TITLE: &'static str = "Make one text of many documents";
    const DESCRIPTION: &'static str = "\
        Puts one instruction (map) to each document, in parallel, and makes one text of the answers by another \
        (reduce), in the order of the documents. Use it for a summary, a list or a report over more text than \
        fits into one context; documents that are too long are split. One call of a model for each document or \
        piece, and one for every ten answers until one text is left. Gives the text and the answer about each \
        document. A failed document is left out of the text, which says so.";

    async fn run(models: &Models, arguments: Arguments, call: &Call) -> Result<Output, Error> {
        facts::check_prompt("map", &arguments.map)?;
        facts::check_prompt("reduce", &arguments.reduce)?;
        facts::check_max_tokens(arguments.max_tokens)?;
        let documents = documents::taken(arguments.documents)?;
        let choice = models.choose(arguments.model.as_deref(), call)?;
        let pattern = |model| {
            let pattern = Pattern::new(model, choice.window)
                .with_map(&arguments.map)
                .with_reduce(&arguments.reduce)
                .with_fan_in(FAN_IN)
                .with_max_concurrent(AT_ONCE)
                .with_on_failure(OnFailure::Skip);
            match arguments.max_tokens {
                Some(cap) => pattern.with_max_output_tokens(cap),
                None => pattern,
            }
        };
        let calls = calls(&pattern(choice.model.clone()), &documents)?;
        let watch = Watch::new(call.progress(), calls);
        let pattern = pattern(watch.over(choice.model));
        let (text, cause, documents, spent) = match pattern.run(&documents).await {
            Ok(done) => (Some(done.text), None, done.documents, done.spent),
            Err(MapReduceError::Ended(ended)) => {
                let Ended {
                    cause,
                    documents,
                    spent,
                } = *ended;
                (None, Some(cause), documents, spent)
            }
            Err(error) => return Err(facts::refused(error)),
        };
        watch.finish();
        told(text, cause, &documents, spent, choice.name)
    }
}

/// The calls that are foreseen: one for each piece, and those of the reduce steps.
///
/// # Errors
/// The documents or instructions cannot be used.
fn calls(pattern: &Pattern, documents: &[Document]) -> Result<usize, Error> {
    let pieces = pattern.map_calls(documents).map_err(facts::refused)?;
    let blank = |document: &&Document| document.text.trim().is_empty();
    let mut level = pieces - documents.iter().filter(blank).count();
    let mut calls = level;
    while level > 1 {
        level = level.div_ceil(FAN_IN);
        calls += level;
    }
    Ok(calls)
}

fn told(
    text: Option<String>,
    cause: Option<Cause>,
    documents: &[MappedDocument],
    spent: Expense,
    model: String,
) -> Result<Output, Error> {
    let failures = documents.iter().filter_map(|document| {
        let error = failure_of(document)?;
        Some((document.id.as_str(), error))
    });
    if documents.iter().all(|document| document.text().is_none()) {
        return Err(nothing_came_out(failures, &spent));
    }
    Ok(Output {
        text,
        error: cause.as_ref().map(why),
        failed: failures.count(),
        documents: documents.iter().map(Mapped::from).collect(),
        model,
        spending: Spending::new(&spent),
    })
}

fn why(cause: &Cause) -> Failure {
    let kind = match cause {
        Cause::Reduce { error, .. } | Cause::GivenUp(error) => error.kind(),
        Cause::Pieces(failed) => failed
            .first()
            .map_or(ErrorKind::Stopped, |piece| piece.error.kind()),
        // the answers do not fit into the model together
        _ => ErrorKind::ContextLength,
    };
    Failure::from(&Error::new(kind, cause.to_string()))
}
