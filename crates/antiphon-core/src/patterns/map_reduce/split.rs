//! [`split`]: a text in pieces that fit, cut where a reader would.

use std::fmt;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use crate::{Error, ErrorKind};

/// How far a sentence's end looks at what follows, in bytes.
const LOOK_AHEAD: usize = 64;

/// Not even one character fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CannotSplit {
    /// Tokens that a piece may have.
    pub budget: usize,
    /// Tokens of the character.
    pub needed: usize,
}

impl fmt::Display for CannotSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, needed } = self;
        write!(
            f,
            "a piece may have {budget} tokens, and a single character needs {needed}"
        )
    }
}

impl std::error::Error for CannotSplit {}

impl From<CannotSplit> for Error {
    fn from(error: CannotSplit) -> Self {
        Self::new(ErrorKind::BadRequest, error.to_string()).with_source(error)
    }
}

/// Cuts a text into pieces of at most `budget` tokens, as `tokens` counts them; put together, they are the text.
///
/// Each piece is as long as fits, shortened to the best place in its last half: before a heading or after a blank line,
/// else after a line, else after a sentence (Unicode Standard Annex #29). Else it ends between two words, wherever the last
/// pair is; and where a word fills all of it, between two characters as people see them. `tokens` must not shrink when a
/// text grows.
///
/// # Errors
/// A single character exceeds the budget.
///
/// ```
/// use antiphon_core::patterns::{most_tokens, split};
///
/// let text = "# One\nFirst.\n\n# Two\nSecond.\n";
/// assert_eq!(split(text, 10, most_tokens)?, ["# One\nFirst.\n\n", "# Two\nSecond.\n"]);
/// # Ok::<(), antiphon_core::patterns::CannotSplit>(())
/// ```
pub fn split(
    text: &str,
    budget: usize,
    tokens: impl Fn(&str) -> usize,
) -> Result<Vec<&str>, CannotSplit> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut guess = budget;
    while !rest.is_empty() {
        let most = longest_fit(rest, budget, &tokens, guess);
        if most == 0 {
            let first = rest.ceil_char_boundary(1);
            return Err(CannotSplit {
                budget,
                needed: tokens(&rest[..first]),
            });
        }
        guess = most;
        let mut end = best_end(rest, most);
        if tokens(&rest[..end]) > budget {
            end = most; // a count that shrinks when a text grows
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    Ok(pieces)
}

/// The longest beginning that fits, in bytes. It looks from `guess` on, so that a long text is not counted as a whole for
/// each of its pieces.
fn longest_fit(text: &str, budget: usize, tokens: &impl Fn(&str) -> usize, guess: usize) -> usize {
    let fits = |end: usize| tokens(&text[..end]) <= budget;
    let (mut fitting, mut reach) = (0, text.ceil_char_boundary(guess.max(1)));
    while fits(reach) {
        if reach == text.len() {
            return reach;
        }
        fitting = reach;
        reach = text.ceil_char_boundary(reach.saturating_mul(2));
    }
    loop {
        let mut middle = text.floor_char_boundary(fitting.midpoint(reach));
        if middle <= fitting {
            middle = text.ceil_char_boundary(fitting + 1);
        }
        if middle >= reach {
            return fitting;
        }
        match fits(middle) {
            true => fitting = middle,
            false => reach = middle,
        }
    }
}

/// Where a piece of at most `most` bytes ends best.
fn best_end(text: &str, most: usize) -> usize {
    if most == text.len() {
        return most;
    }
    let least = text.ceil_char_boundary(most.div_ceil(2)).min(most);
    let lines = || line_starts(text, least, most);
    lines()
        .find(|start| begins_paragraph(text, *start))
        .or_else(|| lines().next())
        .or_else(|| sentence_end(text, least, most))
        .or_else(|| word_end(text, most))
        .unwrap_or_else(|| character_end(text, most))
}

/// Starts of lines within the bounds, the last first.
fn line_starts(text: &str, least: usize, most: usize) -> impl Iterator<Item = usize> {
    text[..most]
        .rmatch_indices('\n')
        .map(|(at, _)| at + 1)
        .take_while(move |start| *start >= least)
}

/// Whether the line that starts here is a heading, or the first after a blank one.
fn begins_paragraph(text: &str, start: usize) -> bool {
    let ends_or_shows = |c: &char| *c == '\n' || !c.is_whitespace();
    let (before, after) = (&text[..start - 1], &text[start..]);
    let blank_before = before
        .chars()
        .rev()
        .find(ends_or_shows)
        .is_none_or(|c| c == '\n');
    let blank = after.chars().find(ends_or_shows).is_none_or(|c| c == '\n');
    let level = after.bytes().take_while(|byte| *byte == b'#').count();
    let heading = (1..=6).contains(&level) && after[level..].starts_with(' ');
    heading || (blank_before && !blank)
}

fn sentence_end(text: &str, least: usize, most: usize) -> Option<usize> {
    let seen = text.ceil_char_boundary(most.saturating_add(LOOK_AHEAD));
    text[least..seen]
        .split_sentence_bound_indices()
        .map(|(at, _)| least + at)
        .take_while(|at| *at <= most)
        .last()
        .filter(|at| *at > least)
}

fn word_end(text: &str, most: usize) -> Option<usize> {
    if text[most..].starts_with(char::is_whitespace) && is_whole(text, most) {
        return Some(most);
    }
    text[..most]
        .char_indices()
        .rev()
        .filter(|(_, c)| c.is_whitespace())
        .map(|(at, c)| at + c.len_utf8())
        .find(|end| is_whole(text, *end))
}

/// Whether no character as people see it (grapheme cluster) is cut here.
fn is_whole(text: &str, at: usize) -> bool {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    cursor.is_boundary(text, 0).unwrap_or(true)
}

fn character_end(text: &str, most: usize) -> usize {
    if is_whole(text, most) {
        return most;
    }
    let mut cursor = GraphemeCursor::new(most, text.len(), true);
    match cursor.prev_boundary(text, 0) {
        Ok(Some(end)) if end > 0 => end,
        // the first of them alone is too long
        _ => most,
    }
}
