//! The ways in which a row is asked: one, or several to compare.

use antiphon_core::job::RawRow;

use crate::Template;

/// One of several ways to ask every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// What tells it apart; it stands behind the row's id.
    pub name: String,
    /// The model, in place of what lines say.
    pub model: Option<String>,
    /// Template of the user message.
    pub prompt: Option<String>,
}

/// A way to ask, ready to be used.
#[derive(Debug)]
pub(crate) struct Way {
    /// Set where there are several.
    pub(crate) name: Option<String>,
    /// The model of every row, in place of what lines say.
    pub(crate) model: Option<String>,
    /// Makes the user message from a row's fields; then every line is data.
    pub(crate) prompt: Option<Template>,
}

/// All of them. The source gives each row as often as there are ways.
#[derive(Debug)]
pub(crate) struct Ways(Vec<Way>);

impl Ways {
    /// The one way.
    pub(crate) fn one(model: Option<String>, prompt: Option<Template>) -> Self {
        Self(vec![Way {
            name: None,
            model,
            prompt,
        }])
    }

    /// Those of a comparison, which are not none.
    pub(crate) fn several(ways: Vec<Way>) -> Self {
        Self(ways)
    }

    /// The way in which this row is asked, and the number of the row in the input.
    pub(super) fn of(&self, row: &RawRow) -> (&Way, u64) {
        let ways = self.0.len() as u64;
        let place = usize::try_from(row.index % ways).unwrap_or_default();
        (&self.0[place], row.index / ways)
    }
}
