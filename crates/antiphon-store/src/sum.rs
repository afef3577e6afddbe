//! A checksum for each record: SQLite notices a broken page structure, not a flipped bit inside a value.

use std::cell::Cell;

thread_local! {
    // one buffer a thread: a survey makes three sums a row
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Gathers a record's fields, each with its length, behind the name of its table.
pub(crate) struct Sum(Vec<u8>);

impl Sum {
    pub(crate) fn of(table: &str) -> Self {
        let mut buffer = BUFFER.take();
        buffer.clear();
        Self(buffer).text(table)
    }

    pub(crate) fn number(mut self, number: i64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend((bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn option(self, text: Option<&str>) -> Self {
        match text {
            None => self.number(0),
            Some(text) => self.number(1).text(text),
        }
    }

    /// 64 bits of the hash, as SQLite keeps integers.
    pub(crate) fn finish(self) -> i64 {
        let hash = blake3::hash(&self.0);
        BUFFER.set(self.0);
        let mut short = [0; 8];
        short.copy_from_slice(&hash.as_bytes()[..8]);
        i64::from_le_bytes(short)
    }
}
