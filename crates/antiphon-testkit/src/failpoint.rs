//! A disk that fails at a write of the test's choice, for any user and without a disk of its own.
//!
//! A small library (`failpoint.c`) is put before the C library's own calls with `LD_PRELOAD`. It counts what a command
//! writes below a folder and makes one write fail, or all from one on. At the first that fails the whole process stands
//! still until the test has looked around.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Antiphon, Sandbox};

const SOURCE: &str = include_str!("failpoint.c");

/// What becomes of which write; writes are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This one fails, and later ones do not.
    Once(u64),
    /// This one fails and all later ones.
    From(u64),
    /// Of this one only the first half is written.
    Short(u64),
}

/// Why a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The number of the operating system (Linux).
    pub errno: u8,
    /// What a message says of it, in one of these ways.
    pub words: &'static [&'static str],
}

impl Cause {
    /// The three faults of a disk.
    pub const ALL: [Self; 3] = [
        Self {
            errno: 5,
            words: &["Input/output error", "disk I/O error"],
        },
        Self {
            errno: 28,
            words: &["No space left on device", "the disk is full"],
        },
        Self {
            errno: 122,
            words: &["Disk quota exceeded"],
        },
    ];
}

/// A write that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The function of the C library.
    pub call: String,
    /// Whether it failed.
    pub failed: bool,
    /// The file's name, without its folder.
    pub file: String,
}

/// The library, ready to be put before a command.
#[derive(Debug)]
pub struct FailPoint {
    library: PathBuf,
    notes: PathBuf,
}

impl FailPoint {
    /// Compiles the library into the sandbox. `None` where there is no C compiler, or the system is another one.
    pub fn compile(sandbox: &Sandbox) -> Option<Self> {
        if !cfg!(all(target_os = "linux", target_pointer_width = "64")) {
            return None;
        }
        sandbox.write("failpoint.c", SOURCE);
        let library = sandbox.path("failpoint.so");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(sandbox.path("failpoint.c"))
            .output()
            .ok()?;
        assert!(
            compiled.status.success(),
            "{}",
            String::from_utf8_lossy(&compiled.stderr)
        );
        Some(Self {
            library,
            notes: sandbox.path("failpoint.notes"),
        })
    }

    /// Counts what a command writes below a folder, and makes it fail where asked.
    ///
    /// # Panics
    /// When there is no such folder.
    #[must_use]
    pub fn before(
        &self,
        command: Antiphon,
        below: &Path,
        fault: Option<(Fault, Cause)>,
    ) -> Antiphon {
        let _first_time = fs::remove_file(&self.notes);
        let below = below.canonicalize().expect("a folder to write below");
        let (mode, nth) = match fault.map(|(fault, _)| fault) {
            None => ("count", 0),
            Some(Fault::Once(nth)) => ("once", nth),
            Some(Fault::From(nth)) => ("from", nth),
            Some(Fault::Short(nth)) => ("short", nth),
        };
        let errno = fault.map_or(0, |(_, cause)| cause.errno);
        command
            .env("LD_PRELOAD", &self.library.to_string_lossy())
            .env("FAILPOINT_BELOW", &below.to_string_lossy())
            .env("FAILPOINT_NOTES", &self.notes.to_string_lossy())
            .env("FAILPOINT_MODE", mode)
            .env("FAILPOINT_NTH", &nth.to_string())
            .env("FAILPOINT_ERRNO", &errno.to_string())
    }

    /// What the last command wrote so far.
    ///
    /// # Panics
    /// When the notes are not those of the library.
    pub fn writes(&self) -> Vec<Write> {
        let notes = fs::read_to_string(&self.notes).unwrap_or_default();
        let lines = notes.lines().map(|line| {
            let mut words = line.splitn(4, ' ').skip(1);
            let mut word = || words.next().expect("four words").to_owned();
            Write {
                call: word(),
                failed: word() == "failed",
                file: Path::new(&word())
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
            }
        });
        lines.collect()
    }
}
