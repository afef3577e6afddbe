//! [`Analyze`]: the same question about each of many documents, with typed answers.

mod error;
mod kinds;
mod run;

pub use error::InvalidKind;
pub use kinds::{
    Classification, Classify, Extract, Extraction, JudgeSentiment, Sentiment, Summarize, Summary,
    Tone,
};
pub use run::{AnalysisKind, Analyze, AnalyzedDocument, analysis_request};
