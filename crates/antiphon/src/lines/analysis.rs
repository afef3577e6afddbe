//! Rows that are documents, and what is asked about each.

use antiphon_core::{
    ChatRequest, Error, ErrorKind, Schema,
    patterns::{
        AnalysisKind, Classify, Document, Extract, JudgeSentiment, Summarize, analysis_request,
    },
};
use serde_json::{Map, Value};

/// What is asked about every document: the kinds of [`antiphon_core::patterns::Analyze`].
#[derive(Clone, Debug)]
pub enum Analysis {
    /// What it says, in short.
    Summary(Summarize),
    /// Its tone.
    Sentiment(JudgeSentiment),
    /// Fields that it tells.
    Extract(Extract),
    /// The category that fits it.
    Classify(Classify),
}

impl Analysis {
    /// The shape of every answer.
    pub(crate) fn schema(&self) -> Schema {
        match self {
            Self::Summary(kind) => kind.schema(),
            Self::Sentiment(kind) => kind.schema(),
            Self::Extract(kind) => kind.schema(),
            Self::Classify(kind) => kind.schema(),
        }
    }

    /// What decides about the answers, as text.
    pub(crate) fn meaning(&self) -> String {
        let instruction = match self {
            Self::Summary(kind) => kind.instruction(),
            Self::Sentiment(kind) => kind.instruction(),
            Self::Extract(kind) => kind.instruction(),
            Self::Classify(kind) => kind.instruction(),
        };
        format!("{instruction} {}", self.schema().json())
    }

    /// The request about a row's document, the same that a program sends.
    pub(super) fn request(&self, fields: Map<String, Value>) -> Result<ChatRequest, Error> {
        let document = document(fields)?;
        if document.text.trim().is_empty() {
            return Err(Error::new(ErrorKind::InvalidLine, "the document is empty"));
        }
        Ok(match self {
            Self::Summary(kind) => analysis_request(kind, &document),
            Self::Sentiment(kind) => analysis_request(kind, &document),
            Self::Extract(kind) => analysis_request(kind, &document),
            Self::Classify(kind) => analysis_request(kind, &document),
        })
    }
}

/// The document of a row: its `text`, and its other fields as metadata. Its id is the caller's to give.
///
/// # Errors
/// There is no text.
pub(crate) fn document(mut fields: Map<String, Value>) -> Result<Document, Error> {
    let text = match fields.shift_remove(TEXT) {
        Some(Value::String(text)) => text,
        None | Some(Value::Null) => {
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            let has = match names.as_slice() {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            let message = format!("the document has no field `text`; it has {has}");
            return Err(Error::new(ErrorKind::MissingField, message));
        }
        Some(_) => {
            return Err(Error::new(ErrorKind::InvalidLine, "`text` is not text"));
        }
    };
    Ok(Document::new("", text).with_metadata(fields))
}

/// What is kept of a document beside its analysis: everything but its text.
pub(super) fn without_text(line: &[u8]) -> Option<String> {
    let mut fields: Map<String, Value> = serde_json::from_slice(line).ok()?;
    fields.shift_remove(TEXT);
    Some(Value::Object(fields).to_string())
}

/// The field that is read.
const TEXT: &str = "text";
