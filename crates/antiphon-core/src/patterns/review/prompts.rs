//! The words of reviewers and of the synthesis, and the requests made of them.

use serde_json::json;

use crate::{ChatRequest, Message, Schema, chat};

use super::{
    super::document::{ABOUT_BLOCKS, Document, blocks},
    Review,
    panel::Role,
};

/// The roles of the default panel: name, instruction.
pub(super) const ROLES: [(&str, &str); 3] = [
    (
        "security",
        "Look for ways to misuse it, unchecked input, leaked secrets and missing checks of rights.",
    ),
    (
        "performance",
        "Look for wasted time and memory, needless work, and what becomes slow when there is much of it.",
    ),
    (
        "maintainability",
        "Look at how easy it is to understand, to test and to change, and for what will break unnoticed.",
    ),
];

const REVIEW: &str = "Judge only from the point of view of your role. Give a score from 1 (useless) to 10 (excellent), the \
strengths and the weaknesses that you see, each in one short sentence, and a recommendation: approve, revise or reject.";

const SYNTHESIZE: &str = "Several reviewers have judged the same thing, each from one point of view. Make one review of \
theirs. Weigh their points, name each point once, say where they disagree, and add none of your own. Give a summary of two \
or three sentences, a score from 1 (useless) to 10 (excellent), strengths, weaknesses with the worst first, and a \
recommendation: approve, revise or reject.";

/// What one reviewer is asked.
pub(super) fn review_request(role: &Role, subject: &Document, schema: &Schema) -> ChatRequest {
    let system = format!(
        "You are the reviewer for {}. {}\n{REVIEW}\n{ABOUT_BLOCKS}",
        role.name, role.instruction
    );
    let user = blocks([("subject".to_owned(), subject.text.as_str())]);
    chat_with(system, user, schema)
}

/// What the synthesizer is asked: the reviews, in the order of the roles.
pub(super) fn synthesis_request(reviews: &[(&str, &Review)], schema: &Schema) -> ChatRequest {
    let texts: Vec<String> = reviews
        .iter()
        .map(|(role, review)| json!({ "role": role, "review": review }).to_string())
        .collect();
    let labelled = texts
        .iter()
        .map(|text| ("review".to_owned(), text.as_str()));
    let user = blocks(labelled);
    chat_with(format!("{SYNTHESIZE}\n{ABOUT_BLOCKS}"), user, schema)
}

fn chat_with(system: String, user: String, schema: &Schema) -> ChatRequest {
    let mut request = ChatRequest::new(vec![
        Message::text(chat::Role::System, system),
        Message::text(chat::Role::User, user),
    ]);
    request.schema = Some(schema.clone());
    request
}
