//! An output file: goes on where the last run's checkpoint says, or is rebuilt aside and renamed.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use antiphon_core::job::{Checkpoint, Sink, line_hash};

/// Longest line that is read back to prove that the file is the one the checkpoint speaks of.
const TAIL_BYTES: u64 = 64 << 20;

/// What an output file holds, compared with a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything up to the checkpoint is there; more may follow, which will be cut off.
    Sound,
    /// It is missing, shorter, or another file: it must be rebuilt.
    Lost,
}

/// Writes an output file.
#[derive(Debug)]
pub struct FileSink {
    file: File,
    path: PathBuf,
    start: Checkpoint,
    // written here, renamed to there at the end
    aside: Option<(PathBuf, PathBuf)>,
}

impl FileSink {
    /// Compares a file with the checkpoint of the ledger.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn standing(path: &Path, checkpoint: Checkpoint) -> io::Result<Standing> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Lost),
            file => file?,
        };
        if file.metadata()?.len() < checkpoint.bytes {
            return Ok(Standing::Lost);
        }
        if checkpoint.bytes == 0 {
            return Ok(Standing::Sound);
        }
        let tail = last_line(&mut file, checkpoint.bytes)?;
        Ok(if line_hash(&tail) == checkpoint.tail {
            Standing::Sound
        } else {
            Standing::Lost
        })
    }

    /// Goes on after the checkpoint; what follows it is cut off and written again from the ledger.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn resume(path: &Path, checkpoint: Checkpoint) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.set_len(checkpoint.bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            start: checkpoint,
            aside: None,
        })
    }

    /// Writes from the first row on into a file beside `path`, which takes its place when the job ends.
    ///
    /// # Errors
    /// The file beside it cannot be made.
    pub fn rebuild(path: &Path) -> io::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".rebuilt");
        let aside = path.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&aside)?;
        if let Ok(old) = std::fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        Ok(Self {
            file,
            path: aside.clone(),
            start: Checkpoint::default(),
            // a link stays a link: its target is replaced
            aside: Some((
                aside,
                std::fs::canonicalize(path).unwrap_or(path.to_owned()),
            )),
        })
    }
}

impl FileSink {
    /// The same error, and the file that it is of.
    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }
}

/// The last line before `end`, newline included.
fn last_line(file: &mut File, end: u64) -> io::Result<Vec<u8>> {
    let mut span = 64 << 10;
    loop {
        let start = end.saturating_sub(span);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = vec![0; usize::try_from(end - start).unwrap_or(0)];
        file.read_exact(&mut tail)?;
        let body = &tail[..tail.len() - 1];
        if let Some(newline) = body.iter().rposition(|byte| *byte == b'\n') {
            return Ok(tail.split_off(newline + 1));
        }
        if start == 0 || span >= TAIL_BYTES {
            return Ok(tail);
        }
        span *= 8;
    }
}

impl Sink for FileSink {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines);
        written.map_err(|error| self.named(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn is_in_place(&self) -> bool {
        self.aside.is_none()
    }

    fn start(&self) -> Checkpoint {
        self.start
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some((aside, path)) = self.aside.take() {
            // the old file goes only when the new one is surely there
            let synced = self.file.sync_data();
            let renamed = synced.and_then(|()| std::fs::rename(aside, path));
            renamed.map_err(|error| self.named(&error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(lines: &[&str]) -> Checkpoint {
        Checkpoint {
            rows: lines.len() as u64,
            bytes: lines.iter().map(|line| line.len() as u64).sum(),
            tail: line_hash(lines.last().unwrap().as_bytes()),
        }
    }

    #[test]
    fn a_torn_tail_is_cut_and_a_foreign_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let saved = checkpoint(&["{\"a\":1}\n", "{\"b\":2}\n"]);
        assert_eq!(FileSink::standing(&path, saved).unwrap(), Standing::Lost);
        std::fs::write(&path, "{\"a\":1}\n{\"b\":2}\n{\"c\":").unwrap();
        assert_eq!(FileSink::standing(&path, saved).unwrap(), Standing::Sound);
        let mut sink = FileSink::resume(&path, saved).unwrap();
        sink.write(b"{\"c\":3}\n").unwrap();
        sink.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
        std::fs::write(&path, "{\"a\":1}\n{\"b\":9}\n").unwrap();
        assert_eq!(FileSink::standing(&path, saved).unwrap(), Standing::Lost);
    }

    #[test]
    fn a_rebuilt_file_takes_the_place_of_the_old_one_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        std::fs::write(&path, "old\n").unwrap();
        let mut sink = FileSink::rebuild(&path).unwrap();
        sink.write(b"new\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n");
        sink.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
