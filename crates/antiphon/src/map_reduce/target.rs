//! Where the text goes.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::memory::Memory;
use crate::run::{
    RunError,
    output::{put_aside, same_file},
};

/// A file, where one was named.
#[derive(Debug)]
pub(super) struct Target(pub(super) Option<PathBuf>);

impl Target {
    /// The state folder that belongs to it.
    pub(super) fn state_folder(&self) -> Option<PathBuf> {
        let mut name = self.0.as_ref()?.as_os_str().to_owned();
        name.push(".antiphon");
        Some(PathBuf::from(name))
    }

    /// Refuses a file that is an input, cannot be written, or holds something which is not an earlier run's.
    pub(super) fn check(
        &self,
        inputs: &[PathBuf],
        state: Option<&Path>,
        fresh: bool,
    ) -> Result<(), RunError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let shown = path.display();
        if path.is_dir() {
            return Err(RunError::usage(format!("the output {shown} is a folder")));
        }
        if inputs.iter().any(|input| same_file(input, path)) {
            return Err(RunError::usage("input and output are the same file"));
        }
        let folder = folder_of(path);
        if !folder.is_dir() {
            let message = format!("the output folder {} does not exist", folder.display());
            return Err(RunError::usage(message));
        }
        let holds_something = fs::metadata(path).is_ok_and(|meta| meta.len() > 0);
        if holds_something && !fresh && !state.is_some_and(Memory::is_in) {
            let message = format!(
                "{shown} is not empty and was not written by antiphon (its state folder {} is missing)",
                state.map_or_else(String::new, |state| state.display().to_string())
            );
            return Err(RunError::usage(message)
                .with_hint("choose another output, or pass --fresh to move it aside"));
        }
        // proves that it can be written before anything is paid for
        self.aside(path).map(drop)
    }

    /// Moves earlier output and answers aside; nothing is deleted. Says where they went.
    pub(super) fn move_aside(&self, state: Option<&Path>) -> Result<Vec<String>, RunError> {
        let output = self.0.as_deref().filter(|path| path.is_file());
        let state = state.filter(|folder| Memory::is_in(folder));
        output.into_iter().chain(state).map(put_aside).collect()
    }

    /// Writes the text aside and gives it its name: the file is never half of a text.
    pub(super) fn write(&self, text: &str) -> Result<(), RunError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let mut file = self.aside(path)?;
        let end = if text.ends_with('\n') { "" } else { "\n" };
        file.write_all(text.as_bytes())
            .and_then(|()| file.write_all(end.as_bytes()))
            .and_then(|()| file.as_file().sync_all())
            .and_then(|()| file.persist(path).map_err(|error| error.error))
            .map(drop)
            .map_err(|error| unwritable(path, &error))
    }

    fn aside(&self, path: &Path) -> Result<tempfile::NamedTempFile, RunError> {
        tempfile::Builder::new()
            // what any new file may be, less what the user's umask takes
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(folder_of(path))
            .map_err(|error| unwritable(path, &error))
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn unwritable(path: &Path, error: &io::Error) -> RunError {
    RunError::of_system(format!("cannot write {}: {error}", path.display()), error)
}
