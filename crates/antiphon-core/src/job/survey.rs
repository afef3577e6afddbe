//! Compares the input with the last run's layout before anything is sent.

use super::{
    config::JobConfig,
    ledger::Ledger,
    row::{RawRow, Source},
};
use crate::{Error, ErrorKind};

/// How the input compares with the layout of the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// There is no earlier run.
    Fresh,
    /// Every row of the layout is where it was; the input may go on after it.
    Same,
    /// Rows were inserted, deleted, edited or moved, or the plan changed. The first row that differs.
    Changed {
        /// Position of the first difference.
        first: u64,
    },
}

/// What a survey found.
#[derive(Clone, Copy, Debug)]
pub struct Survey {
    /// How the input compares with the layout.
    pub comparison: Comparison,
    /// Rows of the input.
    pub rows: u64,
    /// Rows of an unchanged input that need a call.
    pub to_do: u64,
    /// The first of these.
    pub first_to_do: Option<u64>,
}

/// Compares the input with the last run's layout. Nothing is parsed and nothing is sent.
///
/// # Errors
/// Input or ledger cannot be read.
pub fn survey(
    source: &mut dyn Source,
    ledger: &dyn Ledger,
    config: &JobConfig,
) -> Result<Survey, Error> {
    let mut layout = ledger.layout();
    let mut survey = Survey {
        comparison: Comparison::Same,
        rows: 0,
        to_do: 0,
        first_to_do: None,
    };
    while let Some(row) = next_row(source, config, survey.rows)? {
        survey.rows += 1;
        let done = match layout.next().transpose()? {
            Some(known) if known.index == row.index && known.hash == row.hash => {
                config.is_done(known.verdict)
            }
            Some(_) => {
                survey.comparison = Comparison::Changed { first: row.index };
                return Ok(survey);
            }
            // beyond the layout, in a ledger with items that stand nowhere in it: they may be those of these rows
            None if ledger.next_item() > row.index.cast_signed() => {
                survey.comparison = Comparison::Changed { first: row.index };
                return Ok(survey);
            }
            None => false,
        };
        if !done {
            survey.to_do += 1;
            survey.first_to_do.get_or_insert(row.index);
        }
    }
    if layout.next().is_some() {
        survey.comparison = Comparison::Changed { first: survey.rows };
    }
    Ok(survey)
}

pub(super) fn next_row(
    source: &mut dyn Source,
    config: &JobConfig,
    read: u64,
) -> Result<Option<RawRow>, Error> {
    if config.limit.is_some_and(|limit| read >= limit) {
        return Ok(None);
    }
    source.next_row().map_err(|error| {
        Error::new(
            ErrorKind::Stopped,
            format!("the input cannot be read: {error}"),
        )
    })
}
