//! `rescue` of a model: what becomes of streams that break, or a text.

use antiphon_core::patterns::RescueMode;

/// The words of `rescue` that are no text.
const MODES: [&str; 3] = ["buffer", "verify", "off"];

/// `rescue`: one word for what becomes of streams that break, or a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RescueSettings {
    /// `buffer`, `verify` or `off`.
    Streams(RescueMode),
    /// The text that is given where the model fails.
    Text(String),
}

/// Letters in which a misspelt word differs from the one that is meant.
const SLIPS: usize = 2;

impl TryFrom<String> for RescueSettings {
    type Error = String;

    /// # Errors
    /// It is nearly a mode's word, so hardly an answer, or says nothing.
    fn try_from(written: String) -> Result<Self, String> {
        if let Some(mode) = RescueMode::named(&written) {
            return Ok(Self::Streams(mode));
        }
        let word = written.trim().to_lowercase();
        if word.is_empty() {
            return Err(
                "`rescue` is empty; it is \"buffer\", \"verify\", \"off\" or the text to answer with"
                    .to_owned(),
            );
        }
        let distance = |mode: &str| strsim::damerau_levenshtein(&word, mode);
        let near = MODES.into_iter().min_by_key(|mode| distance(mode));
        match near.filter(|mode| distance(mode) <= SLIPS) {
            Some(mode) => Err(format!(
                "`rescue` is {written:?}: did you mean {mode:?}? (a text to answer with looks less like it)"
            )),
            None => Ok(Self::Text(written)),
        }
    }
}
