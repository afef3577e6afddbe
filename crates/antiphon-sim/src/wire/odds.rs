//! How likely each token was: made up, but the same whole and streamed.

use serde_json::{Value, json};

use crate::tokens::{cut, pieces};

/// The tokens of a text with their odds, in OpenAI's form, each with so many alternatives. The likeliest is the one that
/// was said.
pub(crate) fn odds(text: &str, alternatives: usize) -> Vec<Value> {
    // pieces first: a token never lies across two pieces of a stream
    let tokens = pieces(text).into_iter().flat_map(split);
    tokens.map(|token| told(token, alternatives)).collect()
}

fn split(mut text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    while let Some(first) = text.chars().next() {
        // a character may be longer than what a token is counted as
        let end = cut(text, 1).len().max(first.len_utf8());
        let (token, rest) = text.split_at(end);
        tokens.push(token);
        text = rest;
    }
    tokens
}

fn told(token: &str, alternatives: usize) -> Value {
    let doubt = token.bytes().map(u32::from).sum::<u32>() % 16;
    let logprob = -f64::from(doubt + 1) / 64.0;
    let one = |token: &str, logprob: f64| json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()});
    let others =
        (1..alternatives).map(|rank| one(&format!("{token}{rank}"), logprob - rank as f64));
    let top = [one(token, logprob)].into_iter().chain(others);
    let mut told = one(token, logprob);
    told["top_logprobs"] = top.take(alternatives).collect();
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_make_up_the_text_and_the_likeliest_was_said() {
        let text = "(simulated) Brücken — and \u{1F309} bridges, of which there are many";
        let told = odds(text, 3);
        let joined: String = told
            .iter()
            .filter_map(|token| token["token"].as_str())
            .collect();
        assert_eq!(joined, text);
        for token in &told {
            let top = token["top_logprobs"].as_array().unwrap();
            assert_eq!((top.len(), &top[0]["token"]), (3, &token["token"]));
            assert!(top[0]["logprob"].as_f64() > top[1]["logprob"].as_f64());
        }
        assert_eq!(odds(text, 0)[0]["top_logprobs"], json!([]));
    }
}
