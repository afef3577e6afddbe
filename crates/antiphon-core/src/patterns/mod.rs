//! Patterns: each combines [`Model`](crate::Model)s, and gives a model or a list of outcomes.
//!
//! What many calls give is *all settled*: one outcome for each input, at its index, successes and failures side by side.
//! A pattern that decides between answers is a model itself, so patterns nest.

mod all_failed;
pub mod analyze;
mod asking;
mod batch;
mod batcher;
mod byte_budget;
mod conversation;
mod document;
pub mod ensemble;
mod fallback;
mod fan_out;
mod grouped_batch;
mod grouping;
pub mod map_reduce;
mod multiplex;
mod no_models;
mod occurrence;
mod opening;
mod part;
mod plurality;
mod race;
pub mod review;
mod text_stream;
mod tokens;
mod variations;
pub mod vote;
mod window;

pub use analyze::{
    AnalysisKind, Analyze, AnalyzedDocument, Classification, Classify, Extract, Extraction,
    InvalidKind, JudgeSentiment, Sentiment, Summarize, Summary, Tone, analysis_request,
};
pub use asking::Expense;
pub use batch::{
    Batch, BatchOutcome, BatchResult, BatchStream, BatchSummary, CallbackFailure, CallbackResult,
    LatencySummary, batch, batch_objects,
};
pub use batcher::DynamicBatcher;
pub use byte_budget::{ByteBudget, Hold};
pub use conversation::{Conversation, ConversationOutcome, conversations};
pub use document::{Document, NoDocuments};
pub use fallback::{Fallback, MovesOn, Rescue, RescueMode};
pub use fan_out::{FanOut, FanOutResult};
pub use grouped_batch::{GroupedBatch, GroupedResult};
pub use grouping::{Group, Grouping, Tier};
pub use map_reduce::{
    CannotSplit, MapReduce, MapReduceError, MapReduced, MappedDocument, OnFailure, Piece, split,
};
pub use multiplex::{Multiplex, Partial, multiplex, multiplex_models};
pub use no_models::NoModels;
pub use race::Race;
pub use review::{
    Aggregate, PanelReview, Point, Recommendation, Review, ReviewError, ReviewPanel, Role,
    RoleReview, Synthesis,
};
pub use text_stream::{TextDelta, TextStream};
pub use tokens::most_tokens;
pub use variations::Variations;
pub use window::{Ordered, Window, window};
