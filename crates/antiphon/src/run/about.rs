//! What a run writes down of itself, for whoever asks how far it is.

use std::{
    fs::File,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use antiphon_store::{SqliteLedger, sources};
use serde::{Deserialize, Serialize};

use super::{Input, RunError, RunOptions, feed::Feed, plan::ledger_error};

/// What is known of the last run of a job beside its ledger's records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The input, where its rows are those of the job.
    input: Option<PathBuf>,
    /// The most of them that are read.
    limit: Option<u64>,
    /// When it began, in seconds of Unix time.
    started: u64,
}

impl About {
    /// Key of the ledger's note.
    pub const NOTE: &'static str = "job";

    pub(super) fn of(options: &RunOptions, feed: &Feed) -> Self {
        let input = match &options.input {
            Input::File(path) if feed.times == 1 && feed.drawn.is_none() => Some(path),
            _ => None,
        };
        let input = input.filter(|_| !options.input.reads_once());
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            // it is read from another folder, too
            input: input.and_then(|path| std::path::absolute(path).ok()),
            limit: options.limit,
            started: now.map_or(0, |now| now.as_secs()),
        }
    }

    pub(super) fn keep(&self, ledger: &SqliteLedger) -> Result<(), RunError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        ledger.write_note(Self::NOTE, text).map_err(ledger_error)
    }

    /// Reads the note; one of an older release, or none, knows nothing.
    pub fn read(note: Option<&str>) -> Self {
        note.and_then(|note| serde_json::from_str(note).ok())
            .unwrap_or_default()
    }

    /// The input, where it is a file that can be read again.
    pub fn input(&self) -> Option<&PathBuf> {
        self.input.as_ref()
    }

    /// All rows of the job, counted in its input; `None` where that is not there any more.
    pub fn count_rows(&self) -> Option<u64> {
        let most = self.limit.unwrap_or(u64::MAX);
        let rows = sources::count_rows(File::open(self.input.as_ref()?).ok()?, 0, most);
        rows.ok().map(|rows| rows.min(most))
    }

    /// How long it has been running, if it still is.
    pub fn running_for(&self) -> Option<Duration> {
        let started = UNIX_EPOCH.checked_add(Duration::from_secs(self.started))?;
        let since = SystemTime::now().duration_since(started).ok()?;
        (self.started > 0).then_some(since)
    }
}
