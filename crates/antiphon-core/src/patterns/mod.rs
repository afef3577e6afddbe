//! Patterns: each combines [`Model`](crate::Model)s, and gives a model or a list of outcomes.
//!
//! What many calls give is *all settled*: one outcome for each input, at its index, successes and failures side by side.
//! A pattern that decides between answers is a model itself, so patterns nest.

pub mod analyze;
mod asking;
mod document;
pub mod ensemble;
pub mod map_reduce;
pub mod review;
mod tokens;
mod window;

pub use analyze::{
    AnalysisKind, Analyze, AnalyzedDocument, Classification, Classify, Extract, Extraction,
    InvalidKind, JudgeSentiment, Sentiment, Summarize, Summary, Tone, analysis_request,
};
pub use asking::Spent;
pub use document::{Document, NoDocuments};
pub use map_reduce::{
    CannotSplit, MapReduce, MapReduceError, MapReduced, MappedDocument, OnFailure, Piece, split,
};
pub use review::{
    Aggregate, PanelReview, Point, Recommendation, Review, ReviewError, ReviewPanel, Role,
    RoleReview, Synthesis,
};
pub use tokens::most_tokens;
pub use window::{Ordered, Window, window};
