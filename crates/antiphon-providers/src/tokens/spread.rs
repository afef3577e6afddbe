//! How far vocabularies differ: what a count in one says of a model whose own is not public.
//!
//! Measured on the samples of `tests.rs` against `o200k`: another vocabulary of the same size has 1.00 to 1.02 times the tokens of
//! English and code, 1.2 of JSON full of digits and of German, 0.75 of Chinese, 1.3 of Russian, 2.9 of Hindi; a smaller and
//! older one (`cl100k`) 1.5 of Chinese, 2.2 of Arabic, 3.2 of Hindi. Claude's newer tokenizers are said to make more tokens of
//! everything; by how much is not documented, so the error is one-sided and wide.

use super::{Count, Encoding, parts::Pieces};

/// At least so many tenths of the tokens of `o200k`.
const LEAST_TENTHS: u64 = 7;
/// At most so many times those tokens, for text in ASCII.
const MOST_ASCII: f64 = 2.0;
/// The same for text of which nothing is ASCII.
const MOST_OTHER: f64 = 4.0;

/// The count for a model whose vocabulary is not public.
pub(super) fn count(pieces: &Pieces<'_>) -> Count {
    let stand_in = pieces.count(Encoding::O200k, false);
    let (other, all) = pieces.bytes();
    let share = other as f64 / all.max(1) as f64;
    let most = MOST_ASCII + (MOST_OTHER - MOST_ASCII) * share;
    let more = (stand_in.tokens as f64 * (most - 1.0)).ceil() as u64;
    Count {
        low: stand_in.low * LEAST_TENTHS / 10,
        high: stand_in.high.saturating_add(more),
        ..stand_in
    }
}
