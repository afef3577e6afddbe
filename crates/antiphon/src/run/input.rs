//! The input of a run: a file, or stdin, which can be read only once.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use antiphon_core::job::{Beginning, RawRow, Source};
use antiphon_store::sources::{self, Documents, Format, LineSource};
use tempfile::{TempDir, TempPath};

use super::RunError;

/// Where rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file, which can be read several times.
    File(PathBuf),
    /// The standard input.
    Stdin,
    /// Files of which each is a row, `{"id": PATH, "text": CONTENT}`; a `.jsonl` file holds such a row a line.
    Documents(Vec<PathBuf>),
}

impl Input {
    /// The format: what was asked for, else by extension, else JSON Lines for stdin.
    pub(super) fn format(&self, asked: Option<&str>) -> Result<Format, RunError> {
        if let Self::Documents(files) = self {
            check_documents(files)?;
        }
        if let Self::File(path) = self
            && !path.exists()
        {
            return Err(missing(path));
        }
        let known: Vec<&str> = sources::FORMATS.iter().map(|format| format.name).collect();
        let known = known.join(", ");
        let extension = match self {
            Self::File(path) => path.extension().and_then(|extension| extension.to_str()),
            Self::Stdin | Self::Documents(_) => Some("jsonl"),
        };
        match (asked, extension) {
            (Some(name), _) => sources::format(name).ok_or_else(|| {
                RunError::usage(format!(
                    "no input format is called {name:?}; there are {known}"
                ))
            }),
            (None, Some(extension)) => {
                // .ndjson is the same thing under its other name
                let name = if extension == "ndjson" {
                    "jsonl"
                } else {
                    extension
                };
                sources::format(name).ok_or_else(|| {
                    RunError::usage(format!(
                        "cannot tell the format of {} by .{extension}; pass --input-format ({known})",
                        self.name()
                    ))
                })
            }
            (None, None) => Err(RunError::usage(format!(
                "{} has no extension that tells its format; pass --input-format ({known})",
                self.name()
            ))),
        }
    }

    /// How messages call it.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "stdin".to_owned(),
            Self::Documents(files) => match files.as_slice() {
                [file] => file.display().to_string(),
                files => format!("one of {} files", files.len()),
            },
        }
    }

    /// The files that are read.
    pub(super) fn files(&self) -> &[PathBuf] {
        match self {
            Self::File(path) => std::slice::from_ref(path),
            Self::Stdin => &[],
            Self::Documents(files) => files,
        }
    }

    /// It broke while it was read.
    pub(super) fn unreadable(&self, error: &io::Error) -> RunError {
        RunError::usage(format!("cannot read {}: {error}", self.name()))
    }

    /// Opens it.
    pub(super) fn open(&self) -> Result<Box<dyn Source>, RunError> {
        let (stream, length) = match self {
            Self::Documents(files) => return Ok(Box::new(Documents::new(files))),
            Self::Stdin => stdin(),
            Self::File(path) => open_file(path)?,
        };
        Ok(Box::new(LineSource::new(stream, length)))
    }

    /// The number of its rows, of which `read` end at a byte; those beyond `most` need not be counted. `None` where it
    /// cannot be read a second time.
    pub(super) fn count_rows(&self, read: u64, end: u64, most: u64) -> Option<u64> {
        match self {
            Self::File(path) if !self.reads_once() => {
                let most = most.saturating_sub(read);
                let rest = sources::count_rows(File::open(path).ok()?, end, most).ok()?;
                Some(read + rest)
            }
            Self::Documents(files) => {
                let rows = files.iter().map(|file| match Documents::holds_lines(file) {
                    true => sources::count_rows(File::open(file).ok()?, 0, most).ok(),
                    false => Some(1),
                });
                rows.sum()
            }
            _ => None,
        }
    }

    /// Whether it can be read only once.
    pub fn reads_once(&self) -> bool {
        match self {
            Self::Stdin => true,
            Self::File(path) => std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()),
            Self::Documents(_) => false,
        }
    }
}

type Stream = (Box<dyn Read + Send>, Option<u64>);

fn stdin() -> Stream {
    (Box::new(io::stdin()), None)
}

fn open_file(path: &Path) -> Result<Stream, RunError> {
    let unreadable =
        |error: &io::Error| RunError::usage(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(path),
        _ => unreadable(&error),
    })?;
    let meta = file.metadata().map_err(|error| unreadable(&error))?;
    if meta.is_dir() {
        return Err(RunError::usage(format!("{} is a folder", path.display())));
    }
    let length = meta.is_file().then_some(meta.len());
    Ok((Box::new(file), length))
}

/// Refuses documents that cannot be read, or not again by a run that goes on.
pub(crate) fn check_documents(files: &[PathBuf]) -> Result<(), RunError> {
    for path in files {
        let (_, length) = open_file(path)?;
        if length.is_none() {
            let message = format!("{} is not a file but a pipe or device", path.display());
            let hint = "write the text to a file first: a command that goes on reads it again";
            return Err(RunError::usage(message).with_hint(hint));
        }
    }
    match files.is_empty() {
        true => Err(RunError::usage(
            "there are no documents; name at least one file",
        )),
        false => Ok(()),
    }
}

/// There is no such file; perhaps there is one of nearly this name in the same folder.
fn missing(path: &Path) -> RunError {
    let error = RunError::usage(format!("there is no file {}", path.display()));
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let names: Vec<String> = std::fs::read_dir(folder.unwrap_or(Path::new(".")))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let wanted = path.file_name().unwrap_or_default().to_string_lossy();
    match crate::nearest(&wanted, names.iter().map(String::as_str)) {
        Some(near) => {
            let near = path.with_file_name(near);
            error.with_hint(format!("did you mean {}?", near.display()))
        }
        None => error,
    }
}

/// A copy of an input that can be read only once; it goes with the run.
#[derive(Debug)]
pub(super) struct Spool {
    path: TempPath,
    _folder: Option<TempDir>,
}

impl Spool {
    /// Copies the input, byte for byte, into `folder` or a temporary one.
    pub(super) fn copy(input: &Input, folder: Option<&Path>) -> Result<Self, RunError> {
        let failed = |error: io::Error| {
            RunError::of_system(format!("cannot keep the input: {error}"), &error)
        };
        let temporary = match folder {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(failed)?),
        };
        let folder = folder.or(temporary.as_ref().map(TempDir::path));
        let mut file =
            tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        let (mut stream, _) = match input {
            Input::File(path) => open_file(path)?,
            Input::Stdin | Input::Documents(_) => stdin(),
        };
        io::copy(&mut stream, &mut file).map_err(failed)?;
        // one name: what a killed run leaves behind, the next one writes over
        let path = file.path().with_file_name("input.spool");
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(Self {
            path: TempPath::try_from_path(path).map_err(failed)?,
            _folder: temporary,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// A source whose first rows were looked at.
pub(super) struct Peeked {
    first: VecDeque<RawRow>,
    rest: Box<dyn Source>,
}

impl Peeked {
    pub(super) fn new(source: Box<dyn Source>) -> Self {
        Self {
            first: VecDeque::new(),
            rest: source,
        }
    }

    /// The row after those that were looked at.
    pub(super) fn look_on(&mut self) -> io::Result<Option<&RawRow>> {
        let Some(row) = self.rest.next_row()? else {
            return Ok(None);
        };
        self.first.push_back(row);
        Ok(self.first.back())
    }
}

impl Source for Peeked {
    fn skip(&mut self, beginning: Beginning) -> io::Result<()> {
        if beginning.rows > 0 {
            self.first.clear();
        }
        self.rest.skip(beginning)
    }

    fn next_row(&mut self) -> io::Result<Option<RawRow>> {
        match self.first.pop_front() {
            Some(row) => Ok(Some(row)),
            None => self.rest.next_row(),
        }
    }

    fn is_ready(&self) -> bool {
        !self.first.is_empty() || self.rest.is_ready()
    }

    fn total_bytes(&self) -> Option<u64> {
        self.rest.total_bytes()
    }
}
