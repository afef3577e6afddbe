//! [`MapReduce`]: one text from documents that no window holds.

mod error;
mod group;
mod outcome;
mod plan;
mod prompts;
mod reduce;
mod run;
mod split;
mod tree;

use std::{fmt, num::NonZeroUsize, sync::Arc};

use serde_json::{Map, Value};

use crate::{ChatRequest, Schema, SharedModel, job::AttemptJournal};

use super::{
    document::Document,
    tokens::{Estimate, most_tokens},
};
use prompts::MapPrompt;

pub use error::{Cause, Ended, FailedPiece, MapReduceError, Room};
pub use outcome::{MapReduced, MappedDocument, PieceAnswer};
pub use prompts::Piece;
pub use split::{CannotSplit, split};

const FAN_IN: usize = 10;
const MAX_OUTPUT_TOKENS: u64 = 1024;
const MAX_CONCURRENT: NonZeroUsize = NonZeroUsize::new(10).unwrap();

/// What becomes of the whole when map calls fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// There is no result, and the error tells each failure. All map calls are made first, since their answers are kept.
    #[default]
    Fail,
    /// The result is made of the others, and both it and the reduce steps are told what is missing.
    Skip,
}

/// Asks about each document (*map*), then makes one text of the answers (*reduce*).
///
/// A document that exceeds the window is [split](split()). Answers are reduced in a tree: each step takes up to `fan_in` texts
/// that are neighbours, in the order of the documents, and begins as soon as they are there. Where they do not fit in the
/// window together, they are first reduced in smaller groups, and a text that does not even fit alone is split and
/// condensed. Which texts go together depends on their number and lengths, never on who answers first, so the same documents
/// and answers give the same requests again.
///
/// A single piece needs no reduce step, unless a schema is asked for: its answer is the result.
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
/// #             text: "a summary".into(), finish_reason: FinishReason::Stop, reasoning: None, refusal: None, tool_calls: vec![], model: None,
/// #             spent: Default::default(), body: Default::default(), latency: Default::default(),
/// #         };
/// #         Box::pin(std::future::ready(Ok(ChatResponse { head: Head::default(), body: Body::Ready(answer) })))
/// #     }
/// # }
/// use antiphon_core::patterns::{Document, MapReduce};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let model = Arc::new(Scripted);
/// let reports = [Document::new("may", "Sales rose."), Document::new("june", "Sales fell.")];
/// let summary = MapReduce::new(model, 128_000)
///     .with_map("List what happened.")
///     .with_reduce("Write a paragraph about the whole time.");
/// let result = summary.run(&reports).await?;
/// assert_eq!(result.text, "a summary");
/// assert_eq!(result.levels, [1]);
/// # Ok::<(), antiphon_core::patterns::MapReduceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MapReduce {
    map: Windowed,
    /// The map model, where no other is given.
    reduce: Option<Windowed>,
    map_prompt: MapPrompt,
    reduce_instruction: String,
    params: Map<String, Value>,
    schema: Option<Schema>,
    max_output_tokens: u64,
    fan_in: usize,
    max_concurrent: NonZeroUsize,
    on_failure: OnFailure,
    estimate: Estimate,
}

/// A model and its context window, in tokens.
#[derive(Clone, Debug)]
struct Windowed {
    model: SharedModel,
    window: usize,
}

impl MapReduce {
    /// Maps and reduces with this model, whose context window (input and output together) has so many tokens.
    pub fn new(model: SharedModel, window_tokens: usize) -> Self {
        Self {
            map: Windowed {
                model,
                window: window_tokens,
            },
            reduce: None,
            map_prompt: MapPrompt::Instruction(prompts::MAP.to_owned()),
            reduce_instruction: prompts::REDUCE.to_owned(),
            params: Map::new(),
            schema: None,
            max_output_tokens: MAX_OUTPUT_TOKENS,
            fan_in: FAN_IN,
            max_concurrent: MAX_CONCURRENT,
            on_failure: OnFailure::default(),
            estimate: Arc::new(most_tokens),
        }
    }

    /// Reduces with another model.
    #[must_use]
    pub fn with_reduce_model(mut self, model: SharedModel, window_tokens: usize) -> Self {
        self.reduce = Some(Windowed {
            model,
            window: window_tokens,
        });
        self
    }

    /// What is done with each document.
    #[must_use]
    pub fn with_map(mut self, instruction: impl Into<String>) -> Self {
        self.map_prompt = MapPrompt::Instruction(instruction.into());
        self
    }

    /// Writes the map requests itself. A longer text must not give a shorter request.
    #[must_use]
    pub fn with_map_prompt(
        mut self,
        prompt: impl Fn(&Piece<'_>) -> ChatRequest + Send + Sync + 'static,
    ) -> Self {
        self.map_prompt = MapPrompt::Function(Arc::new(prompt));
        self
    }

    /// How answers are made one.
    #[must_use]
    pub fn with_reduce(mut self, instruction: impl Into<String>) -> Self {
        self.reduce_instruction = instruction.into();
        self
    }

    /// The last reduce step answers in this shape.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// With a parameter set in every request that does not name it itself.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Value) -> Self {
        self.params.insert(name.to_owned(), value);
        self
    }

    /// The output cap of every call, 1024 by default; sent as `max_tokens` and kept free in the window.
    #[must_use]
    pub fn with_max_output_tokens(mut self, tokens: u64) -> Self {
        self.max_output_tokens = tokens;
        self
    }

    /// Texts that a reduce step takes at most: 2 or more, 10 by default.
    #[must_use]
    pub fn with_fan_in(mut self, texts: usize) -> Self {
        self.fan_in = texts;
        self
    }

    /// Calls in flight at once, map and reduce together; 10 by default.
    #[must_use]
    pub fn with_max_concurrent(mut self, calls: NonZeroUsize) -> Self {
        self.max_concurrent = calls;
        self
    }

    /// What becomes of the whole when map calls fail.
    #[must_use]
    pub fn with_on_failure(mut self, policy: OnFailure) -> Self {
        self.on_failure = policy;
        self
    }

    /// Counts tokens in another way than [`most_tokens`]. It must not shrink when a text grows.
    #[must_use]
    pub fn with_tokens(mut self, estimate: impl Fn(&str) -> usize + Send + Sync + 'static) -> Self {
        self.estimate = Arc::new(estimate);
        self
    }

    /// Makes one text of the documents.
    ///
    /// # Errors
    /// Input that cannot be used, before any call; else why there is no result, with everything that was answered.
    pub async fn run(&self, documents: &[Document]) -> Result<MapReduced, MapReduceError> {
        self.begin(documents, None)?.finish().await
    }

    /// As [`Self::run`], and records each answer in the journal: what an earlier run recorded there is not asked again.
    ///
    /// # Errors
    /// As [`Self::run`]; the ledger cannot be written.
    pub async fn run_recorded(
        &self,
        documents: &[Document],
        journal: Arc<dyn AttemptJournal>,
    ) -> Result<MapReduced, MapReduceError> {
        self.begin(documents, Some(journal))?.finish().await
    }
}

impl fmt::Debug for MapReduce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapReduce")
            .field("map", &self.map)
            .field("reduce", &self.reduce)
            .field("map_prompt", &self.map_prompt)
            .field("fan_in", &self.fan_in)
            .field("max_concurrent", &self.max_concurrent)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}
