//! The input of a run: a file, or stdin, which can be read only once.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use antiphon_core::job::{RawRow, Source};
use antiphon_store::sources::{self, Format, LineSource};

use super::RunError;

/// Where rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file, which can be read several times.
    File(PathBuf),
    /// The standard input.
    Stdin,
}

impl Input {
    /// The format: what was asked for, else by extension, else JSON Lines for stdin.
    pub(super) fn format(&self, asked: Option<&str>) -> Result<Format, RunError> {
        let known: Vec<&str> = sources::FORMATS.iter().map(|format| format.name).collect();
        let known = known.join(", ");
        let extension = match self {
            Self::File(path) => path.extension().and_then(|extension| extension.to_str()),
            Self::Stdin => Some("jsonl"),
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
        }
    }

    /// Opens it.
    pub(super) fn open(&self) -> Result<Box<dyn Source>, RunError> {
        match self {
            Self::Stdin => Ok(Box::new(LineSource::new(io::stdin(), None))),
            Self::File(path) => {
                let failed = |error: io::Error| {
                    RunError::usage(match error.kind() {
                        io::ErrorKind::NotFound => {
                            format!("there is no file {}{}", path.display(), similar_file(path))
                        }
                        _ => format!("cannot read {}: {error}", path.display()),
                    })
                };
                let file = File::open(path).map_err(failed)?;
                let meta = file.metadata().map_err(failed)?;
                if meta.is_dir() {
                    return Err(RunError::usage(format!("{} is a folder", path.display())));
                }
                Ok(Box::new(LineSource::new(
                    file,
                    meta.is_file().then_some(meta.len()),
                )))
            }
        }
    }

    /// Whether it can be read only once.
    pub(super) fn reads_once(&self) -> bool {
        match self {
            Self::Stdin => true,
            Self::File(path) => std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()),
        }
    }
}

/// `; did you mean …?` for a file of nearly this name in the same folder.
fn similar_file(path: &Path) -> String {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let names: Vec<String> = std::fs::read_dir(folder.unwrap_or(Path::new(".")))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let wanted = path.file_name().unwrap_or_default().to_string_lossy();
    crate::nearest(&wanted, names.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// A source whose first row was looked at.
pub(super) struct Peeked {
    first: Option<RawRow>,
    rest: Box<dyn Source>,
}

impl Peeked {
    pub(super) fn new(mut source: Box<dyn Source>) -> io::Result<Self> {
        Ok(Self {
            first: source.next_row()?,
            rest: source,
        })
    }

    pub(super) fn first(&self) -> Option<&RawRow> {
        self.first.as_ref()
    }
}

impl Source for Peeked {
    fn next_row(&mut self) -> io::Result<Option<RawRow>> {
        match self.first.take() {
            Some(row) => Ok(Some(row)),
            None => self.rest.next_row(),
        }
    }

    fn is_ready(&self) -> bool {
        self.first.is_some() || self.rest.is_ready()
    }

    fn total_bytes(&self) -> Option<u64> {
        self.rest.total_bytes()
    }
}
