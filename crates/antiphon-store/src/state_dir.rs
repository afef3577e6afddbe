//! The folder beside an output: private, and used by one process at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
};

/// How often a lock is tried: whoever only looks whether a folder is in use holds it for a moment.
const TRIES: usize = 100;

/// Name of the file whose lock is the folder's.
const LOCK: &str = "lock";

/// A state folder, locked while this value lives.
///
/// The lock is the operating system's (`flock`): it ends with the process however that dies, so a stale one cannot exist.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

/// Why a state folder cannot be used.
#[derive(Debug)]
pub enum StateDirError {
    /// Another process works in it.
    Busy(PathBuf),
    /// It cannot be made or opened.
    Io(PathBuf, io::Error),
}

impl std::fmt::Display for StateDirError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy(path) => write!(f, "another antiphon is working in {}", path.display()),
            Self::Io(path, error) => write!(f, "cannot use {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for StateDirError {}

impl StateDir {
    /// Makes the folder where needed (mode 0700) and locks it.
    ///
    /// # Errors
    /// [`StateDirError`].
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let failed = |error| StateDirError::Io(path.to_owned(), error);
        if !path.is_dir() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(failed)?;
        }
        let lock = private_file(&path.join(LOCK)).map_err(failed)?;
        for _ in 0..TRIES {
            match lock.try_lock() {
                Ok(()) => {
                    return Ok(Self {
                        path: path.to_owned(),
                        _lock: lock,
                    });
                }
                Err(TryLockError::WouldBlock) => thread::yield_now(),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Err(StateDirError::Busy(path.to_owned()))
    }

    /// Whether somebody works in a folder now. Nothing is written, and nobody waits.
    ///
    /// # Errors
    /// It cannot be told.
    pub fn is_in_use(path: &Path) -> io::Result<bool> {
        let lock = match File::open(path.join(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            lock => lock?,
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens or makes a file that only its owner can read (mode 0600). An existing one keeps its content and loses other
/// people's rights.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_private_and_has_one_user() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out.jsonl.antiphon");
        let first = StateDir::open(&path).unwrap();
        assert!(matches!(StateDir::open(&path), Err(StateDirError::Busy(_))));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("lock")), 0o600);
        assert!(StateDir::is_in_use(&path).unwrap());
        drop(first);
        assert!(!StateDir::is_in_use(&path).unwrap());
        assert!(!StateDir::is_in_use(parent.path()).unwrap());
        StateDir::open(&path).unwrap();
    }
}
