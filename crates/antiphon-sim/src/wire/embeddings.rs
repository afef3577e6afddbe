//! OpenAI's embeddings: vectors of unit length that are a function of the model and the text alone.

use base64::{Engine, prelude::BASE64_STANDARD};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::{answer::Reply, ask::Ask};

/// Dimensions where none are asked for: enough to tell texts apart.
const DIMENSIONS: u64 = 8;
/// The most that can be asked for, as OpenAI's largest model has it.
const MOST_DIMENSIONS: u64 = 3072;

/// The vectors of all inputs, in order.
pub(crate) fn whole(ask: &Ask, reply: &Reply) -> Value {
    let is_base64 = ask.fields.get("encoding_format") == Some(&json!("base64"));
    let wanted = ask.fields.get("dimensions").and_then(Value::as_u64);
    let dimensions = wanted.unwrap_or(DIMENSIONS).clamp(1, MOST_DIMENSIONS);
    let embedded = ask.inputs.iter().enumerate().map(|(index, text)| {
        let vector = vector(&ask.model, text, dimensions);
        let told = match is_base64 {
            true => {
                let bytes: Vec<u8> = vector.iter().flat_map(|side| side.to_le_bytes()).collect();
                BASE64_STANDARD.encode(bytes).into()
            }
            false => json!(vector),
        };
        json!({"object": "embedding", "index": index, "embedding": told})
    });
    let tokens = reply.usage.input_tokens;
    json!({
        "object": "list",
        "data": embedded.collect::<Vec<_>>(),
        "model": reply.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

fn vector(model: &str, text: &str, dimensions: u64) -> Vec<f32> {
    let mut start = [0; 8];
    let hash = blake3::hash(format!("{model}\n{text}").as_bytes());
    start.copy_from_slice(&hash.as_bytes()[..8]);
    let mut rng = Rng::with_seed(u64::from_le_bytes(start));
    let sides: Vec<f32> = (0..dimensions).map(|_| rng.f32() * 2.0 - 1.0).collect();
    let length = sides.iter().map(|side| side * side).sum::<f32>().sqrt();
    sides
        .iter()
        .map(|side| side / length.max(f32::MIN_POSITIVE))
        .collect()
}
