//! [`FanOut`]: several views of one document, side by side.

use serde_json::json;

use super::{BatchResult, batch};
use crate::{
    ChatRequest, Error, Message, Reply, SharedModel,
    chat::{Content, Role},
};

/// Asks different things about one document at once, for instance its technical, its business and its user view. All are
/// waited for: one that fails takes none of the others with it.
///
/// The document stands before the question in each request, so that providers which cache what requests begin with read it
/// once.
///
/// ```
/// # use antiphon_core::{patterns::FanOut, SharedModel};
/// # async fn example(model: SharedModel) {
/// let views = FanOut::new(model, "The cache is now written behind the answer.")
///     .with_view("technical", "Which technical risks does this have?")
///     .with_view("business", "What does this change for the business?")
///     .with_view("user", "What will users notice?")
///     .run()
///     .await;
/// if let Some(Ok(reply)) = views.get("user") {
///     assert!(!reply.text().is_empty());
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct FanOut {
    model: SharedModel,
    document: ChatRequest,
    views: Vec<(String, String)>,
    max_concurrent: Option<usize>,
}

impl FanOut {
    /// Views of a document: a text, or a request whose last user message holds it (with images, instructions, parameters).
    pub fn new(model: SharedModel, document: impl Into<ChatRequest>) -> Self {
        Self {
            model,
            document: document.into(),
            views: Vec::new(),
            max_concurrent: None,
        }
    }

    /// With one more view of that name; `prompt` is what is asked about the document.
    #[must_use]
    pub fn with_view(mut self, name: impl Into<String>, prompt: impl Into<String>) -> Self {
        self.views.push((name.into(), prompt.into()));
        self
    }

    /// With so many calls in flight at most; all at once where nothing is said.
    #[must_use]
    pub fn with_max_concurrent(mut self, calls: usize) -> Self {
        self.max_concurrent = Some(calls);
        self
    }

    /// Asks for all views and waits for them.
    pub async fn run(self) -> FanOutResult {
        let (names, prompts): (Vec<_>, Vec<_>) = self.views.into_iter().unzip();
        let limit = self.max_concurrent.unwrap_or(prompts.len());
        let requests = prompts.iter().map(|prompt| about(&self.document, prompt));
        let result = batch(self.model, requests)
            .max_concurrent(limit)
            .run()
            .await;
        FanOutResult { names, result }
    }
}

/// The document's request with a question behind it.
fn about(document: &ChatRequest, prompt: &str) -> ChatRequest {
    let mut messages = Vec::clone(&document.messages);
    match messages.last_mut() {
        Some(Message {
            role: Role::User,
            content: Some(Content::Text(text)),
            ..
        }) => *text = format!("<document>\n{text}\n</document>\n\n{prompt}"),
        Some(Message {
            role: Role::User,
            content: Some(Content::Parts(parts)),
            ..
        }) => parts.push(json!({"type": "text", "text": prompt})),
        _ => messages.push(Message::user(prompt)),
    }
    ChatRequest {
        messages: messages.into(),
        ..document.clone()
    }
}

/// What became of the views: successes and failures by index, which is the order in which the views were named.
#[derive(Debug)]
pub struct FanOutResult {
    /// The views' names.
    pub names: Vec<String>,
    /// Their outcomes, at the same indices.
    pub result: BatchResult,
}

impl FanOutResult {
    /// The view of a name.
    pub fn get(&self, name: &str) -> Option<&Result<Reply, Error>> {
        let index = self.names.iter().position(|known| known == name)?;
        Some(&self.result.outcomes.get(index)?.result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_follows_the_document() {
        let words = |request: &ChatRequest| match &request.messages.last().unwrap().content {
            Some(Content::Text(text)) => text.clone(),
            other => serde_json::to_string(other).unwrap(),
        };
        let plain = about(&ChatRequest::from("D"), "Q");
        assert_eq!(words(&plain), "<document>\nD\n</document>\n\nQ");
        let pictured = about(&ChatRequest::from("D").with_image_url("u"), "Q");
        assert!(words(&pictured).ends_with(r#"{"type":"text","text":"Q"}]"#));
        let instructed = about(&ChatRequest::from(vec![Message::system("D")]), "Q");
        assert_eq!(instructed.messages.len(), 2);
    }
}
