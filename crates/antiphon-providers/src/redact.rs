//! Keys out of text: providers echo them in error messages.

use std::borrow::Cow;

/// How keys of known vendors begin.
const KEY_PREFIXES: [&str; 9] = [
    "sk-", "sk_", "gsk_", "hf_", "xai-", "AIza", "pplx-", "nvapi-", "fw_",
];

/// Words after which a key stands, compared without case.
const KEY_LABELS: [&str; 6] = [
    "bearer",
    "x-api-key",
    "api-key",
    "api_key",
    "apikey",
    "x-goog-api-key",
];

/// Shorter words are never keys, even after a label ("api key is missing").
const SHORTEST_KEY: usize = 8;

const REDACTED: &str = "[redacted]";

/// Replaces everything that looks like a key, whole or half masked (`sk-abc***xyz`), with `[redacted]`.
///
/// JSON stays JSON: only characters that need no escape are touched. A key of a form that no vendor uses is not
/// recognised here; whoever holds the key replaces it by value.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut copied = 0;
    let mut after_label = false;
    for (start, word) in words(text) {
        let secret = looks_like_key(word) || (after_label && could_be_key(word));
        if secret {
            clean.push_str(&text[copied..start]);
            clean.push_str(REDACTED);
            copied = start + word.len();
        }
        after_label = KEY_LABELS
            .iter()
            .any(|label| word.eq_ignore_ascii_case(label))
            || (after_label && word.eq_ignore_ascii_case("bearer"));
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[copied..]);
    Cow::Owned(clean)
}

/// Runs of characters that keys are made of, asterisks of masks included.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let part_of_key =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '.' | '+');
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(part_of_key)?;
        let length = text[start..]
            .find(|c| !part_of_key(c))
            .unwrap_or(text.len() - start);
        rest = start + length;
        Some((start, &text[start..rest]))
    })
}

fn looks_like_key(word: &str) -> bool {
    word.len() >= SHORTEST_KEY && KEY_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// After a label: long and not plainly a word of a sentence.
fn could_be_key(word: &str) -> bool {
    word.len() >= SHORTEST_KEY
        && word
            .bytes()
            .any(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpus() {
        let cases = [
            (
                "Incorrect API key provided: sk-abcd********wxyz. You can find your key at https://x",
                "Incorrect API key provided: [redacted] You can find your key at https://x",
            ),
            ("key sk-proj-A1b2C3d4E5f6 failed", "key [redacted] failed"),
            (
                "invalid x-api-key: 9f8e7d6c5b4a",
                "invalid x-api-key: [redacted]",
            ),
            (
                "Authorization: Bearer abc123def456",
                "Authorization: Bearer [redacted]",
            ),
            (r#"{"m":"sk-ant-api03-xyz_123"}"#, r#"{"m":"[redacted]"}"#),
            ("?key=AIzaSyA-123456789", "?key=[redacted]"),
            (
                "gsk_0123456789 and hf_abcdefgh",
                "[redacted] and [redacted]",
            ),
            ("invalid x-api-key", "invalid x-api-key"),
            (
                "the api_key parameter is missing",
                "the api_key parameter is missing",
            ),
            (
                "a risk-free task for gpt-4o-mini",
                "a risk-free task for gpt-4o-mini",
            ),
            (
                "request req_011CSHoEeqs5C35K2UUqR7Fy",
                "request req_011CSHoEeqs5C35K2UUqR7Fy",
            ),
            ("sk-", "sk-"),
            ("", ""),
            ("schlüssel sk-äöü", "schlüssel sk-äöü"),
        ];
        for (text, expected) in cases {
            assert_eq!(redact(text), expected);
        }
    }
}
