//! Counting tokens without a tokenizer.

/// Tokens of a text: one for each four bytes begun. Real tokenizers differ by a third either way; this count is the
/// same everywhere, which is what a ledger needs.
pub(crate) fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}

/// The beginning of a text that is this many tokens long at most.
pub(crate) fn cut(text: &str, most: u64) -> &str {
    let bytes = usize::try_from(most.saturating_mul(4)).unwrap_or(usize::MAX);
    &text[..text.floor_char_boundary(bytes)]
}

/// A text in pieces of about two dozen bytes, as a stream brings it: broken after spaces where there are some.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    const PIECE: usize = 24;
    let mut pieces = Vec::with_capacity(text.len() / PIECE + 1);
    let mut rest = text;
    while rest.len() > PIECE {
        let reach = rest.floor_char_boundary(PIECE);
        let end = rest[..reach].rfind(' ').map_or(reach, |space| space + 1);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_text() {
        let text = "one two three “four” five six seven eight nine ten — äöü 漢字漢字漢字漢字漢字漢字漢字漢字";
        assert!(pieces(text).len() > 3);
        assert_eq!(pieces(text).concat(), text);
        assert!(pieces("").is_empty());
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        assert_eq!(cut("ab漢字", 1), "ab");
        assert_eq!(cut("abcdefgh", 1), "abcd");
        assert_eq!(tokens("abcde"), 2);
    }
}
