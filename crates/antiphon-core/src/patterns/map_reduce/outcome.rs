//! What a map-reduce gives.

use serde_json::{Map, Value};

use crate::Error;

use super::super::asking::Expense;

/// The result over all documents.
#[derive(Clone, Debug)]
pub struct MapReduced {
    /// The one text that is left.
    pub text: String,
    /// The same as a value, where a schema was asked for.
    pub value: Option<Value>,
    /// The documents, in their order.
    pub documents: Vec<MappedDocument>,
    /// Reduce calls at each level of the tree, those next to the documents first; empty where none was needed.
    pub levels: Vec<usize>,
    /// All calls together.
    pub spent: Expense,
}

impl MapReduced {
    /// The documents of which something is missing in the result; only where failures are skipped.
    pub fn missing(&self) -> impl Iterator<Item = &MappedDocument> {
        self.documents
            .iter()
            .filter(|document| !document.is_whole())
    }
}

/// What the map calls made of a document.
#[derive(Clone, Debug)]
pub struct MappedDocument {
    /// Its place in the input.
    pub index: usize,
    /// Its id.
    pub id: String,
    /// What its owner keeps beside it.
    pub metadata: Map<String, Value>,
    /// An outcome for each of its pieces, in order.
    pub pieces: Vec<Result<PieceAnswer, Error>>,
}

impl MappedDocument {
    /// Whether every piece has an answer.
    pub fn is_whole(&self) -> bool {
        self.pieces.iter().all(Result::is_ok)
    }

    /// The answers of its pieces, one after the other with a blank line between; `None` where there is none.
    pub fn text(&self) -> Option<String> {
        let texts: Vec<&str> = self
            .pieces
            .iter()
            .flatten()
            .map(|answer| answer.text.as_str())
            .collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }
}

/// What a map call answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceAnswer {
    /// The answer.
    pub text: String,
    /// Whether it ended at its output cap, so that some of it is missing.
    pub cut_off: bool,
}
