//! Compares the input with the last run's layout before anything is sent.

use std::collections::BTreeMap;

use super::{
    config::JobConfig,
    ledger::{KnownRow, Ledger, Verdict},
    planner::note_row,
    row::{Beginning, RawRow, Seen, Source},
};
use crate::{Error, ErrorKind};

/// How the input compares with the layout of the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// There is no earlier run.
    Fresh,
    /// Every row of the layout is where it was; the input may go on after it.
    Same,
    /// Rows were inserted, deleted, edited or moved, or the plan changed.
    Changed {
        /// Physical line of the first row that differs, where there is one: the input may just be shorter, and a plan
        /// has no place in it.
        line: Option<u64>,
    },
}

/// A beginning of the input that needs no second look: its rows are done and stand in the output.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// Where it ends.
    pub beginning: Beginning,
    /// Its rows by outcome; `None` is an answer.
    pub outcomes: BTreeMap<Option<ErrorKind>, u64>,
}

impl Settled {
    fn take(&mut self, row: &RawRow, verdict: Verdict) {
        self.beginning = Beginning {
            rows: row.index + 1,
            line: row.line,
            end: row.end,
        };
        *self.outcomes.entry(verdict.error).or_default() += 1;
    }
}

/// What a survey found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// How the input compares with the layout.
    pub comparison: Comparison,
    /// Rows of the input.
    pub rows: u64,
    /// Rows of an unchanged input that need a call.
    pub to_do: u64,
    /// The first of these.
    pub first_to_do: Option<u64>,
    /// The rows below `written` that are done, up to the first that is not. Their keys have been noted.
    pub settled: Settled,
}

/// Compares the input with the last run's layout. Nothing is parsed and nothing is sent. `written` is how many rows
/// stand in the output.
///
/// # Errors
/// Input or ledger cannot be read.
pub fn survey(
    source: &mut dyn Source,
    ledger: &dyn Ledger,
    config: &JobConfig,
    seen: &mut dyn Seen,
    written: u64,
) -> Result<Survey, Error> {
    let mut layout = ledger.known();
    let mut survey = Survey {
        comparison: Comparison::Same,
        rows: 0,
        to_do: 0,
        first_to_do: None,
        settled: Settled::default(),
    };
    while let Some(row) = next_row(source, config, survey.rows)? {
        survey.rows += 1;
        let done = match layout.next().transpose()? {
            Some(known) if known.index == row.index && known.hash == row.hash => {
                survey.settle(&row, &known, written, config, seen)?
            }
            Some(_) => {
                survey.comparison = Comparison::Changed {
                    line: Some(row.line),
                };
                return Ok(survey);
            }
            // beyond the layout, in a ledger with items that stand nowhere in it: they may be those of these rows
            None if ledger.next_item() > row.index.cast_signed() => {
                survey.comparison = Comparison::Changed {
                    line: Some(row.line),
                };
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
        survey.comparison = Comparison::Changed { line: None };
    }
    Ok(survey)
}

impl Survey {
    /// Whether a row is done; if so, and if all before it are, it need not be planned.
    fn settle(
        &mut self,
        row: &RawRow,
        known: &KnownRow,
        written: u64,
        config: &JobConfig,
        seen: &mut dyn Seen,
    ) -> Result<bool, Error> {
        let Some(verdict) = known.verdict.filter(|_| config.is_done(known.verdict)) else {
            return Ok(false);
        };
        if row.index < written && self.first_to_do.is_none() {
            note_row(seen, known)?;
            self.settled.take(row, verdict);
        }
        Ok(true)
    }
}

pub(super) fn next_row(
    source: &mut dyn Source,
    config: &JobConfig,
    read: u64,
) -> Result<Option<RawRow>, Error> {
    if config.limit.is_some_and(|limit| read >= limit) {
        return Ok(None);
    }
    source.next_row().map_err(unreadable)
}

pub(super) fn unreadable(error: std::io::Error) -> Error {
    let message = format!("the input cannot be read: {error}");
    Error::new(ErrorKind::Stopped, message)
}
