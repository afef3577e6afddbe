//! What makes two questions the same, and how long a question is.

use antiphon_core::Fingerprint;

use super::{Ask, Speaker, Turn};
use crate::tokens::tokens;

/// Tokens that an image, a file or any other part that is not text counts as: the size of a small image.
const TOKENS_OF_OTHER_PARTS: u64 = 85;

impl Ask {
    /// The words of the last turn that was not the model's own.
    pub(crate) fn question(&self) -> &str {
        let others = |turn: &&Turn| matches!(turn.speaker, Speaker::User | Speaker::Tool);
        let last = self.turns.iter().rev().find(others).or(self.turns.last());
        last.map_or("", |turn| &turn.text)
    }

    /// Whether nothing is charged: the question is only measured.
    pub(crate) fn is_free(&self) -> bool {
        self.choices == 0 && self.inputs.is_empty()
    }

    /// Tokens of everything that the model reads.
    pub(crate) fn input_tokens(&self) -> u64 {
        let said: u64 = self.turns.iter().map(|turn| tokens(&turn.text)).sum();
        let tools: u64 = self
            .tools
            .iter()
            .map(|tool| tokens(&tool.name) + tokens(&tool.parameters.to_string()))
            .sum();
        let schema = self
            .schema
            .as_ref()
            .map_or(0, |schema| tokens(&schema.to_string()));
        said + tokens(&self.begun) + tools + schema + self.other_parts * TOKENS_OF_OTHER_PARTS
    }

    /// What decides the words of the answer: conversation, model, schema, tools, `seed` and `temperature`.
    pub(crate) fn answer_key(&self) -> Fingerprint {
        let mut bytes = Vec::with_capacity(512);
        let mut put = |text: &str| {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        };
        put(&self.model);
        put(&self.flavour);
        for turn in &self.turns {
            put(&turn.text);
            put(&(turn.speaker as u8).to_string());
        }
        for tool in self.tools.iter().chain(&self.forced_tool) {
            put(&tool.name);
            put(&tool.parameters.to_string());
        }
        if let Some(schema) = &self.schema {
            put(&schema.to_string());
        }
        put(&format!("{} {}", self.other_parts, self.json_object));
        // only what is unusual, so that the other answers stay what they were
        if self.thinks {
            put("thinks");
        }
        if !self.inputs.is_empty() {
            put("inputs");
        }
        Fingerprint::of_bytes("sim answer", &bytes)
    }

    /// The prompt that the ledger counts: the answer's key with what cuts or multiplies the answer.
    pub(crate) fn prompt_key(&self, answer_key: &Fingerprint) -> Fingerprint {
        let mut bytes = answer_key.as_bytes().to_vec();
        bytes.extend(self.max_tokens.unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend(self.choices.to_le_bytes());
        for stop in &self.stop {
            bytes.extend_from_slice(stop.as_bytes());
            bytes.push(0);
        }
        Fingerprint::of_bytes("sim prompt", &bytes)
    }
}
