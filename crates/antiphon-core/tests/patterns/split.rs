use antiphon_core::patterns::{CannotSplit, most_tokens, split};
use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

/// Texts with every kind of boundary, and some with none.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-z]{1,12}",
        4 => Just(" ".to_owned()),
        2 => Just(". ".to_owned()),
        2 => Just("\n".to_owned()),
        1 => Just("\r\n".to_owned()),
        1 => Just("\n\n## Heading\n".to_owned()),
        1 => "[äöü漢字e\u{301}👩\u{200d}👧🇩🇪]{1,8}",
        1 => "[a-z]{100,200}",
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_fit_and_are_the_text(text in texts(), budget in 4usize..200, by_bytes: bool) {
        let tokens = if by_bytes { str::len } else { most_tokens };
        let pieces = split(&text, budget, tokens).unwrap();
        prop_assert_eq!(pieces.concat(), text.as_str());
        for piece in &pieces {
            prop_assert!(!piece.is_empty());
            prop_assert!(tokens(piece) <= budget, "{} > {budget}: {piece:?}", tokens(piece));
        }
        prop_assert_eq!(pieces.len() <= 1, tokens(&text) <= budget, "one piece where it fits, more where it does not");
    }

    #[test]
    fn a_piece_is_at_least_half_full_or_ends_between_words(text in texts(), budget in 40usize..200) {
        let pieces = split(&text, budget, str::len).unwrap();
        for (piece, next) in pieces.iter().zip(pieces.iter().skip(1)) {
            let between_words = piece.ends_with(char::is_whitespace) || next.starts_with(char::is_whitespace);
            // a character as people see it may be as long as 11 bytes here
            prop_assert!(between_words || piece.len() + 11 >= budget / 2, "{piece:?} {next:?}");
        }
    }

    #[test]
    fn no_character_as_people_see_it_is_cut(text in texts(), budget in 60usize..200) {
        let whole: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
        prop_assume!(text.graphemes(true).all(|grapheme| grapheme.len() <= budget));
        let mut end = 0;
        for piece in split(&text, budget, str::len).unwrap() {
            end += piece.len();
            prop_assert!(end == text.len() || whole.contains(&end), "cut at {end}: {piece:?}");
        }
    }

    #[test]
    fn no_word_that_fits_is_cut(words in prop::collection::vec("[a-z]{1,30}", 1..60), budget in 31usize..80) {
        let text = words.join(" ");
        for piece in split(&text, budget, str::len).unwrap() {
            for word in piece.split_whitespace() {
                prop_assert!(words.iter().any(|known| known == word), "{word}");
            }
        }
    }
}

#[test]
fn the_best_place_is_taken() {
    for (text, budget, expected) in [
        // a blank line before a mere line end, a heading like a blank line
        (
            "aaaa\n\nbbbb\ncccc dddd",
            16,
            vec!["aaaa\n\nbbbb\n", "cccc dddd"],
        ),
        (
            "aaaa\nbbbb\n\ncccc\ndddd",
            18,
            vec!["aaaa\nbbbb\n\n", "cccc\ndddd"],
        ),
        (
            "aaaa\nbbbb\n# C\ndd\nee",
            17,
            vec!["aaaa\nbbbb\n", "# C\ndd\nee"],
        ),
        // a line end before a sentence's, a sentence's before a space
        (
            "aaaa. bbbb\nCc. Dd ee",
            18,
            vec!["aaaa. bbbb\n", "Cc. Dd ee"],
        ),
        ("Aaaa bbbb. Cccc dddd", 18, vec!["Aaaa bbbb. ", "Cccc dddd"]),
        (
            "你好世界。你好世界你好",
            24,
            vec!["你好世界。", "你好世界你好"],
        ),
        ("aaaa bbbb cccc", 12, vec!["aaaa bbbb ", "cccc"]),
        // nothing but a word
        ("aaaaaaaaaa", 4, vec!["aaaa", "aaaa", "aa"]),
        (
            "e\u{301}e\u{301}e\u{301}",
            5,
            vec!["e\u{301}", "e\u{301}", "e\u{301}"],
        ),
        ("", 4, vec![]),
    ] {
        assert_eq!(split(text, budget, str::len), Ok(expected), "{text:?}");
    }
}

#[test]
fn a_character_longer_than_the_budget_is_named() {
    let error = split("ab漢", 2, str::len).unwrap_err();
    assert_eq!(
        error,
        CannotSplit {
            budget: 2,
            needed: 3
        }
    );
    assert!(error.to_string().contains("2 tokens"), "{error}");
}

#[test]
fn a_long_text_is_not_counted_again_for_each_piece() {
    let text = "word ".repeat(200_000);
    let counted = std::cell::Cell::new(0usize);
    let pieces = split(&text, 1000, |piece| {
        counted.set(counted.get() + piece.len());
        piece.len()
    });
    assert_eq!(pieces.unwrap().len(), 1000);
    assert!(counted.get() < 60 * text.len(), "{}", counted.get());
}
