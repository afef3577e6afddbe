//! A few words for people out of a body of any shape.

use crate::redact::redact;

/// Longest message taken from a body, in characters.
pub(super) const LONGEST_MESSAGE: usize = 400;

/// The first words of a body that is no JSON: the title of a page, else the first line with text.
pub fn body_excerpt(body: &[u8]) -> String {
    // enough for the head of a page; a body may be megabytes
    let text = String::from_utf8_lossy(&body[..body.len().min(8192)]);
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = lower[start..].find("</title>")?;
        Some(&text[start..start + end])
    });
    match title.map(clean).filter(|title| !title.is_empty()) {
        Some(title) => title,
        None => clean(&without_tags(&text)),
    }
}

fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        plain.push_str(&rest[..start]);
        plain.push('\n');
        rest = rest[start..]
            .find('>')
            .map_or("", |end| &rest[start + end + 1..]);
    }
    plain.push_str(rest);
    plain
}

/// The first line that says something, bounded, without control characters and keys.
pub(super) fn clean(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let short: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_MESSAGE)
        .collect();
    redact(&short).into_owned()
}
