//! A folder that nobody else uses, and the binary that works in it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::command::Antiphon;

/// A temporary folder; commands run in it with an environment of their own.
#[derive(Debug)]
pub struct Sandbox {
    folder: tempfile::TempDir,
    binary: PathBuf,
}

impl Sandbox {
    /// An empty folder for this binary: `env!("CARGO_BIN_EXE_antiphon")` of the test.
    ///
    /// # Panics
    /// When no temporary folder can be made.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            binary: binary.into(),
        }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The binary.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file of the sandbox");
    }

    /// The text of a file; empty where there is none.
    ///
    /// # Panics
    /// When it is not text.
    pub fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8(bytes).expect("text")
    }

    /// Removes a file.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("a file to remove");
    }

    /// A command of the binary, which is not started yet.
    pub fn antiphon<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Antiphon {
        Antiphon::new(&self.binary, self.folder(), args)
    }

    /// A shell script that is not started yet; `$ANTIPHON` is the binary.
    pub fn shell(&self, script: &str) -> Antiphon {
        let binary = self.binary.to_string_lossy();
        Antiphon::new(Path::new("sh"), self.folder(), ["-c", script]).env("ANTIPHON", &binary)
    }

    /// Every file and folder below the sandbox, with its permission bits.
    ///
    /// # Panics
    /// When the folder cannot be read.
    pub fn files(&self) -> Vec<(PathBuf, u32)> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let Ok(meta) = entry.metadata() else { continue };
                if meta.is_dir() {
                    folders.push(entry.path());
                }
                found.push((entry.path(), meta.permissions().mode() & 0o777));
            }
        }
        found
    }
}
