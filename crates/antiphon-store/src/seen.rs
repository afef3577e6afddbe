//! How often was this key seen before? Exact, over any number of keys, in bounded memory.
//!
//! A small log-structured set: recent keys in a hash map; when that is full, they go to disk as one sorted table, with a
//! Bloom filter in memory (about 14 bits a key) that answers "never seen" for nearly all look-ups, and the first key of
//! each block, so that any other look-up reads one block.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    hash::{BuildHasherDefault, Hasher},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use antiphon_core::{Error, ErrorKind, job::Seen};
use fastbloom::BloomFilter;

/// Keys in memory before they are moved to disk: about 12 MiB.
const MOST_IN_MEMORY: usize = 256 << 10;
/// Share of look-ups of new keys that ask the disk in vain.
const FALSE_POSITIVES: f64 = 0.001;
/// Bytes of a record on disk: key and count.
const RECORD: usize = 16 + 4;
/// Bytes of a block: as many records as fit into a page.
const BLOCK: usize = 4096 / RECORD * RECORD;

type Key = [u8; 16];

/// An exact multiset of 128-bit hashes.
#[derive(Debug)]
pub struct DiskSeen {
    recent: HashMap<Key, u32, BuildHasherDefault<KeyHasher>>,
    tables: Vec<Table>,
    disk: Option<File>,
    path: std::path::PathBuf,
    most_in_memory: usize,
}

/// Keys that are on disk.
#[derive(Debug)]
struct Table {
    filter: BloomFilter,
    /// The first key of each block.
    firsts: Vec<Key>,
    /// Where in the file it begins and ends.
    bytes: std::ops::Range<u64>,
}

/// Keys are hashes already.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    // the length, which is the same for all
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

impl DiskSeen {
    /// An empty set that may write a scratch file into the folder.
    pub fn new(folder: &Path) -> Self {
        Self::with_memory(folder, MOST_IN_MEMORY)
    }

    fn with_memory(folder: &Path, most_in_memory: usize) -> Self {
        Self {
            recent: HashMap::default(),
            tables: Vec::new(),
            disk: None,
            path: folder.join("seen.scratch"),
            most_in_memory,
        }
    }

    fn on_disk(&self, key: &Key) -> io::Result<Option<u32>> {
        let Some(disk) = &self.disk else {
            return Ok(None);
        };
        // newest first: it holds the highest count
        for table in self.tables.iter().rev() {
            let found = table.find(disk, key)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn spill(&mut self) -> io::Result<()> {
        let disk = match self.disk.take() {
            Some(disk) => disk,
            None => scratch_file(&self.path)?,
        };
        let disk = self.disk.insert(disk);
        let mut keys: Vec<(Key, u32)> = self.recent.drain().collect();
        keys.sort_unstable();
        let start = self.tables.last().map_or(0, |table| table.bytes.end);
        let table = Table::write(disk, start, &keys)?;
        self.tables.push(table);
        Ok(())
    }
}

impl Table {
    fn write(disk: &File, start: u64, keys: &[(Key, u32)]) -> io::Result<Self> {
        let mut filter = BloomFilter::with_false_pos(FALSE_POSITIVES)
            .seed(&0)
            .expected_items(keys.len());
        let mut records = Vec::with_capacity(keys.len() * RECORD);
        for (key, count) in keys {
            filter.insert(key);
            records.extend_from_slice(key);
            records.extend_from_slice(&count.to_le_bytes());
        }
        disk.write_all_at(&records, start)?;
        let blocks = keys.chunks(BLOCK / RECORD);
        Ok(Self {
            filter,
            firsts: blocks.map(|block| block[0].0).collect(),
            bytes: start..start + records.len() as u64,
        })
    }

    fn find(&self, disk: &File, key: &Key) -> io::Result<Option<u32>> {
        if !self.filter.contains(key) {
            return Ok(None);
        }
        let after = self.firsts.partition_point(|first| first <= key);
        let Some(block) = after.checked_sub(1) else {
            return Ok(None);
        };
        let at = self.bytes.start + (block * BLOCK) as u64;
        let mut bytes = [0; BLOCK];
        let length = BLOCK.min((self.bytes.end - at) as usize);
        let records = &mut bytes[..length];
        disk.read_exact_at(records, at)?;
        let found = records
            .chunks_exact(RECORD)
            .find(|record| record.starts_with(key));
        Ok(found.map(|record| u32::from_le_bytes([16, 17, 18, 19].map(|at| record[at]))))
    }
}

/// A file that vanishes with the process: it loses its name at once.
fn scratch_file(path: &Path) -> io::Result<File> {
    // a scratch file left by a killed process is of no use to anyone
    let _absent = std::fs::remove_file(path);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let _unnamed = std::fs::remove_file(path);
    Ok(file)
}

fn scratch_error(error: io::Error) -> Error {
    let message = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full".to_owned(),
        _ => format!("a scratch file in the state folder failed: {error}"),
    };
    Error::new(ErrorKind::Ledger, message).with_source(error)
}

impl Seen for DiskSeen {
    fn note(&mut self, key: Key) -> Result<u32, Error> {
        if let Some(count) = self.recent.get_mut(&key) {
            *count += 1;
            return Ok(*count);
        }
        let before = self
            .on_disk(&key)
            .map_err(scratch_error)?
            .map_or(0, |count| count + 1);
        self.recent.insert(key, before);
        if self.recent.len() >= self.most_in_memory {
            self.spill().map_err(scratch_error)?;
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

    #[test]
    fn keys_are_found_again_in_every_block_of_every_table() {
        let folder = tempfile::tempdir().unwrap();
        // four blocks and a part of one
        let mut seen = DiskSeen::with_memory(folder.path(), BLOCK / RECORD * 4 + 17);
        let key = |number: u32| {
            let mut key = [0; 16];
            key.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..16]);
            key
        };
        for round in 0..3 {
            for number in 0..3000 {
                assert_eq!(seen.note(key(number)).unwrap(), round, "{number}");
            }
        }
        assert!(seen.tables.len() > 3);
    }
}
