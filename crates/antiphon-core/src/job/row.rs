//! Rows: what a source reads, and what they become.

use bytes::Bytes;

use crate::{ChatRequest, Error, ErrorKind, Fingerprint, SharedModel};

/// 128 bits of a BLAKE3 over a raw line: an unchanged line is recognised without being parsed.
pub type LineHash = [u8; 16];

/// Why a line of input cannot be read as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// Longer than the limit, which is given in bytes.
    TooLong {
        /// The longest line that is read.
        limit: usize,
    },
    /// Not UTF-8; the offset in bytes of the first bad one.
    NotUtf8 {
        /// Bytes before the first that is not UTF-8.
        at: usize,
    },
}

impl LineFault {
    /// The error that stands in the place of a row, which is called `what`: a line, a document.
    pub fn error(self, what: &str) -> Error {
        match self {
            Self::TooLong { limit } => Error::new(
                ErrorKind::LineTooLong,
                format!("the {what} is longer than {} MiB", limit >> 20),
            ),
            Self::NotUtf8 { at } => Error::new(
                ErrorKind::InvalidLine,
                format!("the {what} is not UTF-8: bad byte at offset {at}"),
            ),
        }
    }
}

/// Where a number of rows from the first on end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// How many rows.
    pub rows: u64,
    /// The physical line of the last of them.
    pub line: u64,
    /// Bytes of input up to and including it.
    pub end: u64,
}

/// One non-blank line of input.
#[derive(Clone, Debug)]
pub struct RawRow {
    /// Position among the non-blank lines, from 0.
    pub index: u64,
    /// Physical line, from 1: what messages name.
    pub line: u64,
    /// Bytes of input up to and including this line.
    pub end: u64,
    /// Hash of the raw bytes.
    pub hash: LineHash,
    /// What it is known by where its source knows that, such as a file's path: a row that cannot be read has a name, too.
    pub name: Option<String>,
    /// Its text (valid UTF-8), or why there is none.
    pub text: Result<Bytes, LineFault>,
}

/// A request with the model that shall answer it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The model, with its whole stack.
    pub model: SharedModel,
    /// What is asked.
    pub request: ChatRequest,
    /// Parameters left out before the call, in addition to those the response will name.
    pub dropped: Vec<String>,
    /// Whether answers that are not the end of the call must be recorded: those off their schema, those of members.
    pub is_journaled: bool,
    /// Plain calls that are made for it side by side: it takes as many places of the window.
    pub width: u32,
}

/// What a raw row means under the plan of the job.
#[derive(Clone, Debug)]
pub struct PreparedRow {
    /// The user's name for the row, or `row-N`.
    pub custom_id: String,
    /// Whether the line has a `custom_id` of its own, which then must be the only one.
    pub owns_custom_id: bool,
    /// Identity of the request; for a line that is none, of its bytes.
    pub fingerprint: Fingerprint,
    /// The call, or the error that stands in its place.
    pub call: Result<Call, Error>,
}

/// Reads rows one after the other. Blocking: it runs on a thread of its own.
pub trait Source: Send {
    /// The next row.
    ///
    /// # Errors
    /// The input cannot be read on.
    fn next_row(&mut self) -> std::io::Result<Option<RawRow>>;

    /// Whether the next row is at hand without waiting for a slow writer at the other end of a pipe.
    fn is_ready(&self) -> bool;

    /// Bytes of input, where that is known.
    fn total_bytes(&self) -> Option<u64>;

    /// Passes over a beginning of the input that was read before, without looking at it.
    ///
    /// # Errors
    /// As `next_row`.
    fn skip(&mut self, beginning: Beginning) -> std::io::Result<()>;
}

/// Turns raw rows into calls. Pure: the same row gives the same result.
pub trait Prepare: Send + Sync {
    /// What the row means.
    fn prepare(&self, row: &RawRow) -> PreparedRow;

    /// What a job that includes its input carries of the row, as one line of JSON; `None`: all of it.
    fn extract(&self, row: &RawRow) -> Option<String> {
        let _whole = row;
        None
    }
}

/// Counts how often a key was seen before, exactly, over any number of keys in bounded memory.
pub trait Seen: Send {
    /// Notes the key, and says how often it had been noted before.
    ///
    /// # Errors
    /// The disk behind it failed.
    fn note(&mut self, key: [u8; 16]) -> Result<u32, Error>;
}
