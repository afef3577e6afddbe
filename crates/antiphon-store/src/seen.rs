//! How often was this key seen before? Exact, over any number of keys, in bounded memory.
//!
//! A small log-structured set: recent keys in a hash map; when that is full, they go to disk as one sorted table, with a
//! Bloom filter in memory (about 14 bits a key) that answers "never seen" for nearly all look-ups.

use std::{collections::HashMap, path::Path};

use antiphon_core::{Error, job::Seen};
use fastbloom::BloomFilter;
use rusqlite::{Connection, OptionalExtension, params};

use crate::ledger::ledger_error;

/// Keys in memory before they are moved to disk: about 12 MiB.
const MOST_IN_MEMORY: usize = 256 << 10;
/// Share of look-ups of new keys that ask the disk in vain.
const FALSE_POSITIVES: f64 = 0.001;

/// An exact multiset of 128-bit hashes.
#[derive(Debug)]
pub struct DiskSeen {
    recent: HashMap<[u8; 16], u32>,
    filters: Vec<BloomFilter>,
    disk: Option<Connection>,
    path: std::path::PathBuf,
    most_in_memory: usize,
}

impl DiskSeen {
    /// An empty set that may write a scratch file into the folder.
    pub fn new(folder: &Path) -> Self {
        Self::with_memory(folder, MOST_IN_MEMORY)
    }

    fn with_memory(folder: &Path, most_in_memory: usize) -> Self {
        Self {
            recent: HashMap::new(),
            filters: Vec::new(),
            disk: None,
            path: folder.join("seen.scratch"),
            most_in_memory,
        }
    }

    fn on_disk(&self, key: &[u8; 16]) -> Result<Option<u32>, rusqlite::Error> {
        let Some(disk) = &self.disk else {
            return Ok(None);
        };
        // newest first: it holds the highest count
        for (number, filter) in self.filters.iter().enumerate().rev() {
            if !filter.contains(key) {
                continue;
            }
            let found = disk
                .prepare_cached(&format!("SELECT count FROM keys{number} WHERE key = ?1"))?
                .query_row([key], |row| row.get(0))
                .optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn spill(&mut self) -> Result<(), rusqlite::Error> {
        if self.disk.is_none() {
            self.disk = Some(scratch_database(&self.path)?);
        }
        let Some(disk) = &mut self.disk else {
            return Ok(());
        };
        let mut keys: Vec<([u8; 16], u32)> = self.recent.drain().collect();
        keys.sort_unstable();
        let mut filter = BloomFilter::with_false_pos(FALSE_POSITIVES)
            .seed(&0)
            .expected_items(keys.len());
        let table = format!("keys{}", self.filters.len());
        let transaction = disk.transaction()?;
        transaction.execute_batch(&format!(
            "CREATE TABLE {table} (key BLOB PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID"
        ))?;
        {
            let mut insert =
                transaction.prepare(&format!("INSERT INTO {table} VALUES (?1, ?2)"))?;
            for (key, count) in keys {
                insert.execute(params![key, count])?;
                filter.insert(&key);
            }
        }
        transaction.commit()?;
        self.filters.push(filter);
        Ok(())
    }
}

/// A database that vanishes with the process: its file loses its name at once.
fn scratch_database(path: &Path) -> Result<Connection, rusqlite::Error> {
    // a scratch file left by a killed process is of no use to anyone
    let _absent = std::fs::remove_file(path);
    let disk = Connection::open(path)?;
    disk.execute_batch(
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;
         PRAGMA cache_size=-4096; CREATE TABLE made (x);",
    )?;
    let _unnamed = std::fs::remove_file(path);
    Ok(disk)
}

impl Seen for DiskSeen {
    fn note(&mut self, key: [u8; 16]) -> Result<u32, Error> {
        if let Some(count) = self.recent.get_mut(&key) {
            *count += 1;
            return Ok(*count);
        }
        let before = self
            .on_disk(&key)
            .map_err(ledger_error)?
            .map_or(0, |count| count + 1);
        self.recent.insert(key, before);
        if self.recent.len() >= self.most_in_memory {
            self.spill().map_err(ledger_error)?;
        }
        Ok(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn counts_are_exact_across_spills(keys in proptest::collection::vec(0u8..40, 0..300)) {
            let folder = tempfile::tempdir().unwrap();
            let mut seen = DiskSeen::with_memory(folder.path(), 7);
            let mut model = HashMap::new();
            for key in keys {
                let hash = *blake3::hash(&[key]).as_bytes();
                let mut short = [0; 16];
                short.copy_from_slice(&hash[..16]);
                let before = model.entry(key).or_insert(0u32);
                prop_assert_eq!(seen.note(short).unwrap(), *before);
                *before += 1;
            }
        }
    }
}
