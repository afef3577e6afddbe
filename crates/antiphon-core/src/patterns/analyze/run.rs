//! One mechanism for every kind of analysis.

use std::{num::NonZeroUsize, sync::OnceLock};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{ChatRequest, Error, ErrorKind, Message, Reply, Schema, SharedModel, chat::Role};

use super::super::{
    asking::{Expense, ask, typed},
    document::{ABOUT_BLOCKS, Document, NoDocuments, blocks},
    tokens::{Estimate, most_tokens, tokens_of},
    window,
};

/// The temperature of an analysis: answers that hardly vary, without the loops that 0 gives some models.
const TEMPERATURE: f64 = 0.3;
const MAX_CONCURRENT: NonZeroUsize = NonZeroUsize::new(5).unwrap();

/// A question about a document, and the type of its answer.
pub trait AnalysisKind: Send + Sync {
    /// What the answer is read as. It must take every value that fits the schema.
    type Analysis: DeserializeOwned + Send;

    /// What the model is asked to do, in plain words.
    fn instruction(&self) -> String;

    /// The shape of its answer.
    fn schema(&self) -> Schema;
}

/// The request for one document: what [`Analyze`] sends where nothing else is set.
///
/// Id and metadata are not in it, so equal texts are equal requests.
pub fn analysis_request(kind: &impl AnalysisKind, document: &Document) -> ChatRequest {
    let system = format!("{}\n{ABOUT_BLOCKS}", kind.instruction());
    let user = blocks([("document".to_owned(), document.text.as_str())]);
    let mut request = ChatRequest::new(vec![
        Message::text(Role::System, system),
        Message::text(Role::User, user),
    ]);
    request.schema = Some(kind.schema());
    request.with_param("temperature", TEMPERATURE.into())
}

/// Asks the same about each of many documents.
///
/// ```
/// # use std::sync::Arc;
/// # use antiphon_core::{Answer, Body, BoxFuture, ChatRequest, ChatResponse, Error, FinishReason, Head, Model};
/// # #[derive(Debug)]
/// # struct Scripted;
/// # impl Model for Scripted {
/// #     fn name(&self) -> &str { "test/scripted" }
/// #     fn call(&self, _: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
/// #         let answer = Answer {
/// #             text: r#"{"category": "invoice", "confidence": 0.9}"#.into(), finish_reason: FinishReason::Stop,
/// #             reasoning: None, refusal: None, tool_calls: vec![], model: None, spent: Default::default(), body: Default::default(),
/// #             latency: Default::default(),
/// #         };
/// #         Box::pin(std::future::ready(Ok(ChatResponse { head: Head::default(), body: Body::Ready(answer) })))
/// #     }
/// # }
/// use antiphon_core::patterns::{Analyze, Classify, Document};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let model = Arc::new(Scripted);
/// let kind = Classify::new(["invoice", "letter"])?;
/// let outcomes = Analyze::new(model, kind).run([Document::new("scan-1", "Please pay 10.")]).await?;
/// assert_eq!(outcomes[0].id, "scan-1");
/// assert_eq!(outcomes[0].outcome.as_ref().unwrap().category, "invoice");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Analyze<K> {
    model: SharedModel,
    kind: K,
    params: Map<String, Value>,
    max_concurrent: NonZeroUsize,
    window: Option<usize>,
}

/// What became of one document.
#[derive(Clone, Debug)]
pub struct AnalyzedDocument<A> {
    /// Its place in the input.
    pub index: usize,
    /// Its id.
    pub id: String,
    /// What its owner keeps beside it.
    pub metadata: Map<String, Value>,
    /// The analysis, or why there is none.
    pub outcome: Result<A, Error>,
    /// What the call took.
    pub spent: Expense,
}

impl<K: AnalysisKind> Analyze<K> {
    /// Asks this model.
    pub fn new(model: SharedModel, kind: K) -> Self {
        Self {
            model,
            kind,
            params: Map::new(),
            max_concurrent: MAX_CONCURRENT,
            window: None,
        }
    }

    /// With a parameter set in every request; `temperature` is 0.3 unless set.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Value) -> Self {
        self.params.insert(name.to_owned(), value);
        self
    }

    /// Calls in flight at once; 5 by default.
    #[must_use]
    pub fn with_max_concurrent(mut self, calls: NonZeroUsize) -> Self {
        self.max_concurrent = calls;
        self
    }

    /// The model's context window in tokens: a document that is longer is a failure before it is sent.
    #[must_use]
    pub fn with_window(mut self, tokens: usize) -> Self {
        self.window = Some(tokens);
        self
    }

    /// The request for one document.
    pub fn request(&self, document: &Document) -> ChatRequest {
        let mut request = analysis_request(&self.kind, document);
        for (name, value) in &self.params {
            request = request.with_param(name, value.clone());
        }
        request
    }

    /// An outcome for each document, in their order.
    ///
    /// After an error of the account (a wrong key, no credit) the documents that were not yet sent are
    /// [`ErrorKind::Stopped`].
    ///
    /// # Errors
    /// There are no documents.
    pub async fn run<D>(
        &self,
        documents: D,
    ) -> Result<Vec<AnalyzedDocument<K::Analysis>>, NoDocuments>
    where
        D: IntoIterator<Item = Document>,
        D::IntoIter: Send,
    {
        let schema = self.kind.schema();
        let stopped = OnceLock::new();
        let outcomes = window(documents, self.max_concurrent, |index, document| {
            self.analyze(index, document, &schema, &stopped)
        });
        let outcomes = outcomes.settle().await;
        match outcomes.is_empty() {
            true => Err(NoDocuments),
            false => Ok(outcomes),
        }
    }

    async fn analyze(
        &self,
        index: usize,
        document: Document,
        schema: &Schema,
        stopped: &OnceLock<String>,
    ) -> AnalyzedDocument<K::Analysis> {
        let mut spent = Expense::default();
        let outcome = match self.sendable(&document, stopped) {
            Err(error) => Err(error),
            Ok(request) => {
                let reply = ask(&self.model, request, None).await;
                spent = Expense::by(&reply);
                if let Err(error) = &reply
                    && error.stops_the_run()
                {
                    stopped.get_or_init(|| error.message().to_owned());
                }
                reply.and_then(|reply: Reply| typed(&reply, schema))
            }
        };
        AnalyzedDocument {
            index,
            id: document.id,
            metadata: document.metadata,
            outcome,
            spent,
        }
    }

    fn sendable(
        &self,
        document: &Document,
        stopped: &OnceLock<String>,
    ) -> Result<ChatRequest, Error> {
        if let Some(why) = stopped.get() {
            return Err(Error::stopped(format!(
                "not sent, since every call would fail: {why}"
            )));
        }
        if document.is_blank() {
            let message = format!("document `{}` is empty", document.id);
            return Err(Error::new(ErrorKind::BadRequest, message));
        }
        let request = self.request(document);
        if let Some(window) = self.window {
            let estimate: Estimate = std::sync::Arc::new(most_tokens);
            let input = tokens_of(&request, &estimate);
            let output = request.max_output_tokens().unwrap_or_default();
            let needed = usize::try_from(output)
                .unwrap_or(usize::MAX)
                .saturating_add(input);
            if needed > window {
                let message = format!(
                    "document `{}` may need {needed} tokens and the window has {window}: use a model with a larger window, or \
                     map-reduce",
                    document.id
                );
                return Err(Error::new(ErrorKind::ContextLength, message));
            }
        }
        Ok(request)
    }
}
