//! `review`: documents in short, and a question put to what they say.
//!
//! ```text
//! documents ──> a summary each, written for the question ──> the question, put to up to 32 summaries at a time
//!                                                             ──> one answer, and what each document says about it
//! ```

use antiphon_core::{
    Error, Schema, SharedModel,
    patterns::{AnalysisKind, AnalyzedDocument, Document, Expense, Summarize, Summary},
};
use antiphon_mcp::Call;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Models,
    analyze_documents::{analyze, failures},
    documents::{self, Text},
    facts,
    spending::{Failure, Spending, nothing_came_out, sum},
    typed::TypedTool,
    watched::Watch,
};

/// Summaries that the question is put to at once: some 3,000 tokens, which fit any model, and few enough to be read with
/// care.
const SUMMARIES_AT_ONCE: usize = 32;

/// The tool.
pub(super) struct Review;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// What is read, 8 MiB together at most. Each must fit into the model's context.
    #[schemars(length(min = 1, max = 256))]
    documents: Vec<Text>,
    /// What is to be found out from all documents together: "Which of these contracts end this year, and what follows?"
    #[schemars(length(min = 1))]
    question: String,
    /// Model: provider/model, or a name of the server's configuration; `client` is this client's own. Leave it out for the
    /// usual one.
    model: Option<String>,
    /// The most that is written in each call, in tokens.
    #[schemars(range(min = 1))]
    max_tokens: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The answer to the question from all summaries; null where it failed, though documents have summaries.
    answer: Option<String>,
    /// Why there is no answer, or why some summaries are not in it.
    error: Option<Failure>,
    /// The documents, in the order in which they were given.
    documents: Vec<Reviewed>,
    /// How many documents have no summary, and are not in the answer.
    failed: usize,
    /// The model that was asked.
    model: String,
    #[serde(flatten)]
    spending: Spending,
}

/// What became of a document.
#[derive(Debug, Serialize, JsonSchema)]
struct Reviewed {
    id: String,
    /// The document in short, with what bears on the question; null where it failed.
    summary: Option<String>,
    /// What it says about the question; null where it says nothing.
    finding: Option<String>,
    /// Why it has no summary.
    error: Option<Failure>,
}

/// Asks for a summary that keeps what a question needs.
struct SummarizeFor<'a> {
    question: &'a str,
    usual: Summarize,
}

impl AnalysisKind for SummarizeFor<'_> {
    type Analysis = Summary;

    fn instruction(&self) -> String {
        format!(
            "{} The summary will be read in place of the document to answer this question: {} Keep every fact that bears on \
             it; do not answer it.",
            self.usual.instruction(),
            json!(self.question),
        )
    }

    fn schema(&self) -> Schema {
        self.usual.schema()
    }
}

/// What the question is put to first, and what after that, where the summaries were too many for one call.
const SUMMARIES: &str = "what several documents say, each under its id";
const ANSWERS: &str = "answers to the question below, each from other documents";

/// Puts the question to several summaries, or to several answers about them.
struct PutQuestion<'a> {
    question: &'a str,
    /// What is read.
    read: &'static str,
    schema: Schema,
}

/// What several summaries say.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "Review", deny_unknown_fields)]
struct Said {
    /// The answer to the question from all summaries together.
    #[schemars(length(min = 1))]
    answer: String,
    /// What each document says about the question; documents that say nothing about it are left out.
    findings: Vec<Finding>,
}

/// What a document says.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Finding {
    /// The document's id, as it stands there.
    document: String,
    /// What it says, in one or two sentences.
    finding: String,
}

impl AnalysisKind for PutQuestion<'_> {
    type Analysis = Said;

    fn instruction(&self) -> String {
        format!(
            "The text is JSON: {}. Answer this question from it alone: {} Say where documents disagree, and where they do not \
             tell. Name documents by their ids. In `findings` give for each document that bears on the question what it says \
             about it.",
            self.read,
            json!(self.question),
        )
    }

    fn schema(&self) -> Schema {
        self.schema.clone()
    }
}

impl TypedTool for Review {
    type Arguments = Arguments;
    type Output = Output;

    const NAME: &'static str = "review";
    const TITLE: &'static str = "Review documents for a question";
    const DESCRIPTION: &'static str = "\
        Answers one question from many documents: summarises each in parallel with the question in mind, then \
        puts the question to the summaries. Use it to find out what a set of texts says together, where they \
        agree or differ, and which of them matter, without reading them yourself. One call of a model for each \
        document, one for every 32 summaries, and one more where those are several. Gives the answer, and each \
        document's summary and finding by its id. A failed document is left out and says why.";

    async fn run(models: &Models, arguments: Arguments, call: &Call) -> Result<Output, Error> {
        let question = arguments.question.trim();
        facts::check_prompt("question", question)?;
        facts::check_max_tokens(arguments.max_tokens)?;
        let documents = documents::taken(arguments.documents)?;
        let choice = models.choose(arguments.model.as_deref(), call)?;
        let groups = documents.len().div_ceil(SUMMARIES_AT_ONCE);
        let calls = documents.len() + groups + usize::from(groups > 1);
        let watch = Watch::new(call.progress(), calls);
        let asking = Asking {
            model: watch.over(choice.model),
            question,
            max_tokens: arguments.max_tokens,
        };
        let summaries = asking.summaries(documents).await?;
        let mut took = sum(summaries.iter().map(|one| one.spent));
        if summaries.iter().all(|one| one.outcome.is_err()) {
            return Err(nothing_came_out(failures(&summaries), &took));
        }
        let told = asking.told(&summaries).await?;
        watch.finish();
        took += told.spent;
        Ok(Output {
            spending: Spending::new(&took),
            failed: failures(&summaries).count(),
            documents: summaries
                .iter()
                .map(|one| reviewed(one, &told.findings))
                .collect(),
            answer: told.answer,
            error: told.error,
            model: choice.name,
        })
    }
}

fn reviewed(one: &AnalyzedDocument<Summary>, findings: &[Finding]) -> Reviewed {
    let of_it = findings
        .iter()
        .find(|finding| finding.document.trim() == one.id.trim());
    let summary = one.outcome.as_ref().ok();
    Reviewed {
        id: one.id.clone(),
        summary: summary.map(|said| said.summary.clone()),
        finding: of_it.map(|finding| finding.finding.clone()),
        error: one.outcome.as_ref().err().map(Failure::from),
    }
}

/// Who is asked what.
struct Asking<'a> {
    model: SharedModel,
    question: &'a str,
    max_tokens: Option<u64>,
}

/// What the summaries say about the question.
struct Told {
    answer: Option<String>,
    error: Option<Failure>,
    findings: Vec<Finding>,
    spent: Expense,
}

impl Asking<'_> {
    async fn summaries(
        &self,
        documents: Vec<Document>,
    ) -> Result<Vec<AnalyzedDocument<Summary>>, Error> {
        let kind = SummarizeFor {
            question: self.question,
            usual: Summarize::default(),
        };
        let summaries = analyze(self.model.clone(), kind, self.max_tokens);
        Ok(summaries.run(documents).await?)
    }

    /// Puts the question to the summaries, and where they were too many for one call, to the answers about them.
    async fn told(&self, summaries: &[AnalyzedDocument<Summary>]) -> Result<Told, Error> {
        let texts: Vec<Value> = summaries
            .iter()
            .filter_map(|one| {
                let said = one.outcome.as_ref().ok()?;
                Some(json!({"id": one.id, "summary": said.summary}))
            })
            .collect();
        let groups: Vec<Value> = texts
            .chunks(SUMMARIES_AT_ONCE)
            .map(|group| Value::from(group.to_vec()))
            .collect();
        let mut said = self.put(SUMMARIES, groups).await?;
        let answer = match said.answers.len() {
            0 | 1 => said.answers.pop(),
            _ => {
                let answers = said.answers.iter().map(|answer| json!({"answer": answer}));
                let last = self.put(ANSWERS, vec![answers.collect()]).await?;
                said.spent += last.spent;
                said.error = said.error.or(last.error);
                // its findings are about answers; those about documents are told already
                last.answers.into_iter().next()
            }
        };
        Ok(Told {
            answer,
            error: said.error,
            findings: said.findings,
            spent: said.spent,
        })
    }

    /// The question, put to each of these.
    async fn put(&self, read: &'static str, texts: Vec<Value>) -> Result<Put, Error> {
        let kind = PutQuestion {
            question: self.question,
            read,
            schema: Schema::of::<Said>().expect("a derived schema is valid"),
        };
        let texts = texts.into_iter();
        let texts = texts.map(|text| Document::new("summaries", text.to_string()));
        let asked = analyze(self.model.clone(), kind, self.max_tokens);
        let mut put = Put::default();
        for one in asked.run(texts).await? {
            put.spent += one.spent;
            match one.outcome {
                Ok(said) => {
                    put.answers.push(said.answer);
                    put.findings.extend(said.findings);
                }
                Err(error) => drop(put.error.get_or_insert_with(|| Failure::from(&error))),
            }
        }
        Ok(put)
    }
}

/// What came of putting the question.
#[derive(Default)]
struct Put {
    answers: Vec<String>,
    findings: Vec<Finding>,
    error: Option<Failure>,
    spent: Expense,
}
