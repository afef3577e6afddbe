//! The file of a cache: made, checked, and moved aside where it is damaged.

use std::{
    ffi::OsString,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use antiphon_core::Error;
use rusqlite::Connection;

use super::{cache_error, schema};
use crate::{
    ledger::{is_broken, is_damaged},
    state_dir::private_file,
};

/// Ending of the file that says of a cache that a read or write met a broken page in it.
const MARK: &str = ".damaged";
/// Ending of the file whose lock keeps two processes from opening at once: of two that find the same damage, the second
/// must not move the first one's new file.
const LOCK: &str = ".lock";

/// Has whoever opens this cache next move it aside.
pub(super) fn mark(path: &Path) {
    // where even this cannot be written, the next run meets the same page and says the same
    let _unmarked = private_file(&with_suffix(path, MARK));
}

/// The connections that write and read; and what to tell of a file that was moved aside.
pub(super) fn open(
    path: &Path,
    synced: bool,
) -> Result<((Connection, Connection), Option<String>), Error> {
    let failed = |error: io::Error| cache_error(path, &error);
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
    }
    // given back when it is closed, at the end of this function or of the process
    let lock = private_file(&with_suffix(path, LOCK)).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut told = None;
    let known_damaged = with_suffix(path, MARK).exists()
        || is_damaged(path, &with_suffix(path, "-wal")).unwrap_or(false);
    if known_damaged {
        told = move_aside(path).map_err(failed)?;
    }
    private_file(path).map_err(failed)?;
    let opened = match schema::open(path, synced) {
        Err(error) if is_broken(&error) => {
            told = move_aside(path).map_err(failed)?;
            private_file(path).map_err(failed)?;
            schema::open(path, synced)
        }
        opened => opened,
    };
    match opened {
        Ok(Ok(connections)) => Ok((connections, told)),
        Ok(Err(schema::Newer(version))) => {
            let what = format!("it was written by a newer antiphon (version {version})");
            Err(cache_error(path, &what))
        }
        Err(error) => Err(cache_error(path, &error)),
    }
}

/// Moves a damaged file aside, if it is still there, and says so.
fn move_aside(path: &Path) -> io::Result<Option<String>> {
    let _unmarked = std::fs::remove_file(with_suffix(path, MARK));
    if !path.exists() {
        return Ok(None);
    }
    let aside = (1..)
        .map(|number| with_suffix(path, &format!(".damaged-{number}")))
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| with_suffix(path, ".damaged-0"));
    std::fs::rename(path, &aside)?;
    for suffix in ["-wal", "-shm"] {
        let _absent = std::fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix));
    }
    Ok(Some(format!(
        "the cache was damaged: a new one was begun, the old one is kept as {}",
        aside.display()
    )))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
