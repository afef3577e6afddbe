//! Documents as arguments.

use std::num::NonZeroUsize;

use antiphon_core::{Error, patterns::Document};
use schemars::JsonSchema;
use serde::Deserialize;

use super::facts::refused;

/// Documents of one call. More are a job, which wants a ledger: `antiphon analyze`, `antiphon map-reduce`.
pub(super) const MOST_DOCUMENTS: usize = 256;
/// Calls of a tool that are under way at once: all of them. An account has limits of its own, a client's model has a queue in
/// front, and where questions travel in rounds they all go in the first.
pub(super) const AT_ONCE: NonZeroUsize = NonZeroUsize::new(MOST_DOCUMENTS).unwrap();
/// Bytes of all texts of a call. They came through the client, which holds them in its memory, and mostly in its model's.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Characters of an id.
const LONGEST_ID: usize = 256;

/// A document.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    /// The name by which the result tells of it, such as a path; each once.
    #[schemars(length(min = 1, max = 256))]
    id: String,
    /// What is read.
    text: String,
}

/// The documents, if they can be used. One without a text is no error here: it fails alone.
///
/// # Errors
/// There are none or too many, they are too long together, or an id is missing, too long or there twice.
pub(super) fn taken(texts: Vec<Text>) -> Result<Vec<Document>, Error> {
    if texts.is_empty() {
        return Err(refused("there are no documents: give at least one"));
    }
    if texts.len() > MOST_DOCUMENTS {
        let number = texts.len();
        return Err(refused(format!(
            "there are {number} documents; give at most {MOST_DOCUMENTS} in a call"
        )));
    }
    let bytes: usize = texts.iter().map(|text| text.text.len()).sum();
    if bytes > MOST_BYTES {
        return Err(refused(format!(
            "the documents have {bytes} bytes together; give at most {MOST_BYTES} in a call"
        )));
    }
    for (index, Text { id, .. }) in texts.iter().enumerate() {
        if id.trim().is_empty() || id.chars().count() > LONGEST_ID {
            return Err(refused(format!(
                "the id of documents[{index}] must have from 1 to {LONGEST_ID} characters"
            )));
        }
        if texts[..index]
            .iter()
            .any(|other| other.id.trim() == id.trim())
        {
            return Err(refused(format!(
                "two documents are called {id:?}: outcomes are told by id, so ids must differ"
            )));
        }
    }
    let documents = texts.into_iter();
    Ok(documents
        .map(|Text { id, text }| Document::new(id, text))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: &str, text: String) -> Text {
        Text {
            id: id.to_owned(),
            text,
        }
    }

    #[test]
    fn documents_that_cannot_be_told_apart_or_are_too_much_are_refused() {
        let why = |texts: Vec<Text>| taken(texts).unwrap_err().message().to_owned();
        assert!(why(Vec::new()).contains("at least one"));
        let many = (0..=MOST_DOCUMENTS).map(|id| text(&id.to_string(), String::new()));
        assert!(why(many.collect()).contains("257 documents"));
        assert!(why(vec![text("a", "x".repeat(MOST_BYTES + 1))]).contains("bytes"));
        assert!(why(vec![text("a", "x".into()), text(" ", "y".into())]).contains("documents[1]"));
        assert!(why(vec![text("a", "x".into()), text("a", "y".into())]).contains("\"a\""));
        assert!(why(vec![text("a", "x".into()), text("a ", "y".into())]).contains("\"a \""));
        let empty = taken(vec![text("a", String::new())]).unwrap();
        assert_eq!(empty[0].id, "a");
    }
}
