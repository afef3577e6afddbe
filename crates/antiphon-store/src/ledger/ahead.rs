//! Reads the layout ahead, for the survey at the start of a resumed run.
//!
//! A million rows are three records each, each with a checksum. So several threads read and verify them, a stripe each,
//! while the survey reads and hashes the lines they are compared with.

use std::{
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use antiphon_core::{
    Error,
    job::{KnownRow, Ledger},
};
use rusqlite::Connection;

use super::{SqliteLedger, records, schema};

/// Rows of a page. A stripe is every n-th page.
const PAGE: i64 = 1024;
/// Pages that a thread reads before the survey has come to them.
const PAGES_AHEAD: usize = 4;
/// Threads at most: more than these wait for the one that hashes the lines.
const MOST_THREADS: usize = 4;

type Page = rusqlite::Result<Vec<KnownRow>>;

/// The threads' pages, in turn.
struct ReadAhead {
    stripes: Vec<Receiver<Page>>,
    turn: usize,
}

impl ReadAhead {
    /// Starts the threads; `None` where that fails, and then somebody else must read.
    fn start(path: &Path) -> Option<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = processors.min(MOST_THREADS);
        let stripes = (0..threads)
            .map(|stripe| read_stripe(path, stripe, threads))
            .collect::<Option<_>>()?;
        Some(Self { stripes, turn: 0 })
    }

    fn next_page(&mut self) -> Option<Page> {
        let page = self.stripes[self.turn].recv().ok();
        self.turn = (self.turn + 1) % self.stripes.len();
        page
    }
}

/// Reads every `of`-th page from the `stripe`-th on, until one is short or nobody wants more.
fn read_stripe(path: &Path, stripe: usize, of: usize) -> Option<Receiver<Page>> {
    let connection = schema::open_reader(path).ok()?;
    let (pages, inbox) = sync_channel(PAGES_AHEAD);
    let read = move || {
        for from in (stripe as i64 * PAGE..).step_by(of * PAGE as usize) {
            if !send_page(&connection, from, &pages) {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("survey".to_owned());
    thread.spawn(read).ok().map(|_| inbox)
}

/// Reads a page and hands it over. Says whether there is reason to read on.
fn send_page(connection: &Connection, from: i64, pages: &SyncSender<Page>) -> bool {
    let page = read_page(connection, from);
    let is_full = page.as_ref().is_ok_and(|rows| rows.len() == PAGE as usize);
    pages.send(page).is_ok() && is_full
}

fn read_page(connection: &Connection, from: i64) -> Page {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {} FROM {} WHERE l.row >= ?1 AND l.row < ?2 ORDER BY l.row",
        records::KNOWN_COLUMNS,
        super::LAYOUT_TABLES
    ))?;
    let mut rows = select.query([from, from + PAGE])?;
    let mut page = Vec::with_capacity(PAGE as usize);
    while let Some(row) = rows.next()? {
        page.push(records::known_row(row)?);
    }
    Ok(page)
}

/// All rows of the layout in order. Where a page is short, which is at the end or at a damaged key, and where threads
/// are not to be had, the ledger's own reader goes on.
pub(super) fn known_rows(
    ledger: &SqliteLedger,
) -> impl Iterator<Item = Result<KnownRow, Error>> + Send + '_ {
    let mut ahead = ReadAhead::start(&ledger.path);
    let mut next = 0;
    let mut page = Vec::new().into_iter();
    let mut rest = None;
    std::iter::from_fn(move || {
        loop {
            if let Some(row) = page.next() {
                return Some(Ok(row));
            }
            match ahead.as_mut().and_then(ReadAhead::next_page) {
                Some(Ok(rows)) => {
                    next = rows.last().map_or(next, |row: &KnownRow| row.index + 1);
                    if rows.len() < PAGE as usize {
                        ahead = None;
                    }
                    page = rows.into_iter();
                }
                Some(Err(error)) => return Some(Err(ledger.failed_read(error))),
                None => {
                    ahead = None;
                    let rest = rest.get_or_insert_with(|| ledger.layout(next));
                    return rest.next().map(|row| Ok(KnownRow::from(&row?)));
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::{outcome, row, write};

    fn assert_same_as_read_in_order(ledger: &SqliteLedger) -> Vec<KnownRow> {
        let known: Vec<_> = ledger.known().map(Result::unwrap).collect();
        let layout = ledger.layout(0).map(|row| KnownRow::from(&row.unwrap()));
        let shown = |rows: &[KnownRow]| format!("{rows:?}");
        assert_eq!(shown(&known), shown(&layout.collect::<Vec<_>>()));
        known
    }

    #[test]
    fn rows_come_in_order_from_all_threads_and_damaged_ones_match_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let count = 5 * PAGE + 77;
        let rows = (0..count).map(|number| {
            let mut row = row(number.cast_unsigned(), number, &format!("{number}"), 0);
            row.owns_custom_id = number % 3 == 0;
            row
        });
        let outcomes = (0..count).step_by(2).map(|number| {
            let failed = (number % 10 == 0).then_some(antiphon_core::ErrorKind::Timeout);
            (number.cast_unsigned(), number, outcome("x", failed))
        });
        write(folder.path(), rows.collect(), outcomes.collect());

        let ledger = SqliteLedger::open(folder.path()).unwrap();
        let known = assert_same_as_read_in_order(&ledger);
        assert_eq!(known.len(), count as usize);
        assert!(known[3].custom_id.is_some() && known[3].verdict.is_none());
        assert!(known[4].custom_id.is_none() && known[4].verdict.is_some());

        let file = Connection::open(&ledger.path).unwrap();
        file.execute_batch(
            "UPDATE outcomes SET input_tokens = 6 WHERE item = 1030;
             UPDATE layout SET occurrence = 2 WHERE row = 1031;
             UPDATE items SET run = 9 WHERE item = 1032;
             DELETE FROM layout WHERE row = 4000;",
        )
        .unwrap();
        let known = assert_same_as_read_in_order(&ledger);
        assert_eq!(known.len(), count as usize - 1);
        assert!(known[1030].verdict.is_none() && known[1030].hash != [0; 16]);
        assert_eq!((known[1031].hash, known[1032].hash), ([0; 16], [0; 16]));
        assert_eq!((known[3999].index, known[4000].index), (3999, 4001));
    }
}
