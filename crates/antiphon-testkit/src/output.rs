//! What must be equal in two outputs of the same job.

use serde_json::{Value, json};

/// One line of an output.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputLine(pub Value);

impl OutputLine {
    /// Reads one line.
    ///
    /// # Panics
    /// When it is not JSON: every line that is shown must be whole.
    pub fn read(line: &str) -> Self {
        match serde_json::from_str(line) {
            Ok(value) => Self(value),
            Err(error) => panic!("{error} in the line {line:?}"),
        }
    }

    /// `custom_id`.
    pub fn custom_id(&self) -> &str {
        self.0["custom_id"].as_str().unwrap_or_default()
    }

    /// Position in the input.
    pub fn index(&self) -> u64 {
        self.0["antiphon"]["index"].as_u64().unwrap_or(u64::MAX)
    }

    /// The error's code; `None` for an answer.
    pub fn error_code(&self) -> Option<&str> {
        self.0["error"]["code"].as_str()
    }

    /// The answer's text.
    pub fn text(&self) -> Option<&str> {
        self.0["antiphon"]["text"].as_str()
    }

    /// Attempts on the wire.
    pub fn attempts(&self) -> u64 {
        self.0["antiphon"]["attempts"].as_u64().unwrap_or(0)
    }

    /// The line without what a second run may change: identity of the request at the provider, times, attempts, who
    /// was still awaited when a vote was over.
    pub fn lasting(&self) -> Value {
        let kept = |name: &str| self.0["antiphon"][name].clone();
        let mut body = self.0["response"]["body"].clone();
        if !kept("members").is_null()
            && let Some(own) = body.as_object_mut()
        {
            // a body of our own making tells when it was made
            own.retain(|name, _| name != "id" && name != "created");
        }
        // a vote ends as soon as its outcome is certain: whose answer it did not wait for, and so what it has used, is up
        // to their pace
        let is_vote = self.0["antiphon"]["decision"]["by"] == "vote";
        if let Some(own) = body.as_object_mut().filter(|_| is_vote) {
            own.remove("usage");
        }
        let paced = |name: &str| match is_vote {
            true => Value::Null,
            false => kept(name),
        };
        json!({
            "id": self.0["id"],
            "custom_id": self.0["custom_id"],
            "body": body,
            "error": self.0["error"],
            "index": kept("index"),
            "model": kept("model"),
            "text": kept("text"),
            "parsed": kept("parsed"),
            "finish_reason": kept("finish_reason"),
            "usage": paced("usage"),
            "members": paced("members"),
        })
    }
}

/// The lines of an output, each of which must be whole.
pub fn outputs(text: &str) -> Vec<OutputLine> {
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last line is torn"
    );
    text.lines().map(OutputLine::read).collect()
}
