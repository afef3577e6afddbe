//! The first 100 bytes of the file, where one flipped bit says something false of all of it.
//!
//! SQLite believes them: a bit there makes a ledger read-only, of another encoding, or no database at all. But nearly
//! all of them are the same in every ledger, so they can be checked, and mended, without loss.
//! <https://www.sqlite.org/fileformat.html#the_database_header>

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use super::schema::PAGE_BYTES;

const BYTES: usize = 100;
/// What every ledger says, and where: magic, page size, WAL, payload fractions; schema format; no vacuum, UTF-8; no
/// incremental vacuum, no application; reserved.
const FIXED: [(usize, &[u8]); 6] = [
    (0, b"SQLite format 3\0"),
    (16, &PAGE_BYTES.to_be_bytes()),
    (18, b"\x02\x02\x00\x40\x20\x20"),
    (44, &[0, 0, 0, 4]),
    (64, &[0; 8]),
    (72, &[0; 20]),
];
/// Encoding: UTF-8.
const ENCODING: (usize, [u8; 4]) = (56, [0, 0, 0, 1]);
/// The first page of the list of free pages, and how many there are.
const FREE_PAGES: (usize, usize) = (32, 36);

/// Whether the header cannot be that of a ledger or cache. One that SQLite may replace from its log is not judged.
pub(crate) fn is_damaged(path: &Path, log: &Path) -> io::Result<bool> {
    let has_log = log.metadata().is_ok_and(|meta| meta.len() > 0);
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let length = file.metadata()?.len();
    if has_log || length < BYTES as u64 {
        return Ok(false);
    }
    let mut header = [0; BYTES];
    file.read_exact(&mut header)?;
    Ok(mended(&header, length) != header)
}

/// Puts right what is known of the header.
pub(super) fn mend(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let mut header = [0; BYTES];
    if length < BYTES as u64 {
        return Ok(());
    }
    file.read_exact(&mut header)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&mended(&header, length))
}

fn mended(header: &[u8; BYTES], length: u64) -> [u8; BYTES] {
    let mut mended = *header;
    for (at, bytes) in FIXED {
        mended[at..at + bytes.len()].copy_from_slice(bytes);
    }
    mended[ENCODING.0..][..4].copy_from_slice(&ENCODING.1);
    let number = |at: usize| u64::from(u32::from_be_bytes([0, 1, 2, 3].map(|i| header[at + i])));
    let (first, count) = (number(FREE_PAGES.0), number(FREE_PAGES.1));
    let pages = length / u64::from(PAGE_BYTES);
    if (first == 0) != (count == 0) || first > pages || count > pages {
        // free pages that nobody knows of are wasted, nothing more
        mended[FREE_PAGES.0..FREE_PAGES.1 + 4].fill(0);
    }
    mended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteLedger;

    #[test]
    fn a_sound_header_passes_and_a_flipped_one_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        drop(SqliteLedger::open(folder.path()).unwrap());
        let path = folder.path().join(SqliteLedger::FILE);
        // as the writer leaves it at the end of a run
        let connection = rusqlite::Connection::open(&path).unwrap();
        let merge = "PRAGMA wal_checkpoint(TRUNCATE)";
        connection.query_row(merge, [], |_| Ok(())).unwrap();
        drop(connection);
        let log = folder.path().join("no log");
        let sound = std::fs::read(&path).unwrap();
        assert!(!is_damaged(&path, &log).unwrap());
        for bit in (0..24 * 8).chain(44 * 8..48 * 8).chain(56 * 8..60 * 8) {
            let mut flipped = sound.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            assert!(is_damaged(&path, &log).unwrap(), "bit {bit}");
            mend(&path).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), sound);
        }
    }
}
