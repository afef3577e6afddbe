//! The output of a run and the state folder beside it.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use antiphon_core::job::{Order, Sink};
use antiphon_store::{
    SqliteLedger,
    sinks::{FileSink, Standing, StreamSink},
};

use super::{Input, RunError, readable::Readable, terminal::HarmlessJson};

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A file.
    File(PathBuf),
    /// The standard output.
    Stdout,
    /// The standard output, as a person reads it: a block a row.
    Readable,
}

impl Output {
    /// The state folder that belongs to it: a file has one, a stream or device has nothing to go on from.
    pub fn state_folder(&self) -> Option<PathBuf> {
        match self {
            Self::Stdout | Self::Readable => None,
            Self::File(path) if is_special(path) => None,
            Self::File(path) => {
                let mut name = path.as_os_str().to_owned();
                name.push(".antiphon");
                Some(PathBuf::from(name))
            }
        }
    }

    /// Refuses an output that cannot be one.
    pub(super) fn check(&self, input: &Input) -> Result<(), RunError> {
        let Self::File(path) = self else {
            return Ok(());
        };
        if path.is_dir() {
            return Err(RunError::usage(format!(
                "the output {} is a folder",
                path.display()
            )));
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some("jsonl" | "ndjson")) && !is_special(path) {
            return Err(RunError::usage(format!(
                "the output {} does not end in .jsonl, the one format there is",
                path.display()
            )));
        }
        if input.files().iter().any(|input| same_file(input, path)) {
            return Err(RunError::usage("input and output are the same file"));
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(RunError::usage(format!(
                "the output folder {} does not exist",
                folder.display()
            )));
        }
        Ok(())
    }

    /// Refuses an output that holds something which is not an earlier run's.
    pub(super) fn check_is_ours(&self, state: Option<&Path>) -> Result<(), RunError> {
        let Self::File(path) = self else {
            return Ok(());
        };
        let holds_something = fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 0);
        if holds_something && !state.is_some_and(holds_ledger) {
            return Err(RunError::usage(format!(
                "{} is not empty and was not written by antiphon (its state folder {} is missing)",
                path.display(),
                state.map_or_else(String::new, |state| state.display().to_string())
            ))
            .with_hint("choose another output, or pass --fresh to move it aside"));
        }
        Ok(())
    }

    /// Moves earlier output and state aside; nothing is deleted. Says where they went. A folder that holds no ledger is
    /// not a state folder yet, and stays.
    pub(super) fn move_aside(&self, state: Option<&Path>) -> Result<Vec<String>, RunError> {
        let mut told = Vec::new();
        let output = match self {
            Self::File(path) => Some(path.as_path()),
            Self::Stdout | Self::Readable => None,
        };
        let output = output.filter(|path| path.is_file());
        let state = state.filter(|folder| holds_ledger(folder));
        for path in output.into_iter().chain(state) {
            told.push(put_aside(path)?);
        }
        Ok(told)
    }

    /// Opens it where the last run left off, or aside when it must be rebuilt.
    pub(super) fn sink(
        &self,
        ledger: &SqliteLedger,
        order: Order,
        must_rebuild: bool,
    ) -> Result<Box<dyn Sink>, RunError> {
        let path = match self {
            Self::Readable => return Ok(Box::new(StreamSink::new(Readable(io::stdout())))),
            Self::Stdout if io::stdout().is_terminal() => {
                return Ok(Box::new(StreamSink::new(HarmlessJson(io::stdout()))));
            }
            Self::Stdout => return Ok(Box::new(StreamSink::new(io::stdout()))),
            // a pipe or device has no beginning to go back to
            Self::File(path) if is_special(path) => {
                let stream = fs::OpenOptions::new().write(true).open(path);
                return stream
                    .map(|stream| Box::new(StreamSink::new(stream)) as Box<dyn Sink>)
                    .map_err(|error| unwritable(path, &error));
            }
            Self::File(path) => path,
        };
        let failed = |error: io::Error| unwritable(path, &error);
        let checkpoint = ledger
            .last_checkpoint()
            .map_err(super::plan::ledger_error)?;
        let lost = FileSink::standing(path, checkpoint).map_err(failed)? == Standing::Lost;
        // lines in the order of completion cannot be continued at a row number
        let unordered = order == Order::Completion && checkpoint.rows > 0;
        if path.exists() && (must_rebuild || lost || unordered) {
            return Ok(Box::new(FileSink::rebuild(path).map_err(failed)?));
        }
        let start = if must_rebuild || lost {
            antiphon_core::job::Checkpoint::default()
        } else {
            checkpoint
        };
        Ok(Box::new(FileSink::resume(path, start).map_err(failed)?))
    }

    /// Proves that the output can be written before anything is paid for.
    pub(super) fn try_writing(&self) -> Result<(), RunError> {
        match self {
            Self::Stdout | Self::Readable => io::stdout().flush().map_err(|error| {
                RunError::of_system(format!("stdout cannot be written: {error}"), &error)
            }),
            Self::File(path) => {
                let existed = path.exists();
                let opened = fs::OpenOptions::new().append(true).create(true).open(path);
                opened.map_err(|error| unwritable(path, &error))?;
                if !existed {
                    // a run that is refused for another reason leaves nothing behind
                    let _gone = fs::remove_file(path);
                }
                Ok(())
            }
        }
    }
}

/// Gives a file or folder another name, and says which.
pub(crate) fn put_aside(path: &Path) -> Result<String, RunError> {
    let aside = (1..)
        .map(|number| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".old-{number}"));
            PathBuf::from(name)
        })
        .find(|aside| !aside.exists())
        .unwrap_or_default();
    fs::rename(path, &aside).map_err(|error| {
        let message = format!("cannot move {} aside: {error}", path.display());
        RunError::of_system(message, &error)
    })?;
    Ok(format!("{} is now {}", path.display(), aside.display()))
}

fn unwritable(path: &Path, error: &io::Error) -> RunError {
    RunError::of_system(format!("cannot write {}: {error}", path.display()), error)
}

/// Whether a folder is the state of an earlier run.
pub(super) fn holds_ledger(folder: &Path) -> bool {
    SqliteLedger::is_in(folder)
}

fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) if a == b => true,
        _ => {
            use std::os::unix::fs::MetadataExt;
            let id = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
            matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
        }
    }
}
