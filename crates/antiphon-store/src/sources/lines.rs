//! Lines of text: JSON Lines and plain prompts.

use std::io::{BufRead, BufReader, Read};

use antiphon_core::job::{Beginning, LineFault, LineHash, RawRow, Source};
use bytes::Bytes;

/// The longest line that is read, in bytes. A longer one becomes an error line; it is skipped, never held in memory.
pub const LINE_LIMIT: usize = 16 << 20;

pub(super) const BUFFER: usize = 256 << 10;
/// The byte order mark that some editors begin a file with.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Reads non-blank lines. A byte order mark, CRLF and a missing last newline are accepted.
pub struct LineSource {
    input: BufReader<Box<dyn Read + Send>>,
    total_bytes: Option<u64>,
    limit: usize,
    index: u64,
    line: u64,
    read: u64,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for LineSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineSource")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// One physical line, as far as it fits.
struct Line {
    hash: LineHash,
    too_long: bool,
    blank: bool,
}

impl LineSource {
    /// Reads from `input`, whose length is told where it is known.
    pub fn new(input: impl Read + Send + 'static, total_bytes: Option<u64>) -> Self {
        Self {
            input: BufReader::with_capacity(BUFFER, Box::new(input)),
            total_bytes,
            limit: LINE_LIMIT,
            index: 0,
            line: 0,
            read: 0,
            buffer: Vec::new(),
        }
    }

    /// Reads one physical line into `self.buffer`, without its end; `None` at the end of the input.
    fn next_line(&mut self) -> std::io::Result<Option<Line>> {
        self.buffer.clear();
        let mut hasher = None;
        let mut too_long = false;
        let mut blank = true;
        let mut any = false;
        loop {
            let chunk = match self.input.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                break;
            }
            any = true;
            let newline = memchr::memchr(b'\n', chunk);
            let piece = &chunk[..newline.unwrap_or(chunk.len())];
            blank = blank && piece.iter().all(u8::is_ascii_whitespace);
            if too_long || self.buffer.len() + piece.len() > self.limit {
                // what does not fit is hashed and let go
                let hasher = hasher.get_or_insert_with(|| {
                    let mut hasher = blake3::Hasher::new();
                    hasher.update(&self.buffer);
                    hasher
                });
                hasher.update(piece);
                too_long = true;
            } else {
                self.buffer.extend_from_slice(piece);
            }
            let used = newline.map_or(chunk.len(), |at| at + 1);
            self.input.consume(used);
            self.read += used as u64;
            if newline.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.line += 1;
        if self.line == 1 && self.buffer.starts_with(BOM) {
            self.buffer.drain(..BOM.len());
        }
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        let hash = hasher.map_or_else(|| blake3::hash(&self.buffer), |hasher| hasher.finalize());
        let mut short = LineHash::default();
        short.copy_from_slice(&hash.as_bytes()[..16]);
        if too_long {
            self.buffer = Vec::new();
        } else {
            blank = self.buffer.iter().all(u8::is_ascii_whitespace);
        }
        Ok(Some(Line {
            hash: short,
            too_long,
            blank,
        }))
    }
}

impl Source for LineSource {
    fn next_row(&mut self) -> std::io::Result<Option<RawRow>> {
        let line = loop {
            match self.next_line()? {
                None => return Ok(None),
                Some(line) if line.blank => {}
                Some(line) => break line,
            }
        };
        let text = if line.too_long {
            Err(LineFault::TooLong { limit: self.limit })
        } else {
            match std::str::from_utf8(&self.buffer) {
                Ok(_) => Ok(Bytes::copy_from_slice(&self.buffer)),
                Err(error) => Err(LineFault::NotUtf8 {
                    at: error.valid_up_to(),
                }),
            }
        };
        self.index += 1;
        Ok(Some(RawRow {
            name: None,
            index: self.index - 1,
            line: self.line,
            end: self.read,
            hash: line.hash,
            text,
        }))
    }

    fn is_ready(&self) -> bool {
        // a file never makes us wait; of a pipe we know only what is in the buffer
        self.total_bytes.is_some() || self.input.buffer().contains(&b'\n')
    }

    fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    fn skip(&mut self, beginning: Beginning) -> std::io::Result<()> {
        if beginning.end <= self.read {
            return Ok(());
        }
        let rest = beginning.end - self.read;
        let skipped = std::io::copy(&mut self.input.by_ref().take(rest), &mut std::io::sink())?;
        self.read += skipped;
        self.line = beginning.line;
        self.index = beginning.rows;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(input: &'static [u8]) -> Vec<RawRow> {
        let mut source = LineSource::new(input, None);
        std::iter::from_fn(|| source.next_row().unwrap()).collect()
    }

    #[test]
    fn bom_crlf_blanks_and_a_missing_newline_are_accepted() {
        let rows = rows(b"\xef\xbb\xbf{\"a\":1}\r\n\r\n  \n\"b\"\n\n\"c\"");
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.index, row.line, row.text.clone().unwrap()))
            .collect();
        assert_eq!(
            seen,
            [
                (0, 1, Bytes::from_static(b"{\"a\":1}")),
                (1, 4, Bytes::from_static(b"\"b\"")),
                (2, 6, Bytes::from_static(b"\"c\"")),
            ]
        );
    }

    #[test]
    fn a_line_that_is_too_long_or_not_text_stands_in_its_place() {
        let mut source = LineSource::new(&b"ok\n123456789012\n\xff\xfe\nend"[..], None);
        source.limit = 10;
        source.input = BufReader::with_capacity(3, Box::new(&b"ok\n123456789012\nab\xff\nend"[..]));
        let rows: Vec<_> = std::iter::from_fn(|| source.next_row().unwrap()).collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[1].text, Err(LineFault::TooLong { limit: 10 }));
        assert_eq!(rows[2].text, Err(LineFault::NotUtf8 { at: 2 }));
        assert_eq!(rows[3].text, Ok(Bytes::from_static(b"end")));
        assert_eq!(
            rows[1].hash[..],
            blake3::hash(b"123456789012").as_bytes()[..16]
        );
    }

    #[test]
    fn a_beginning_that_was_read_before_is_passed_over() {
        let input = &b"\xef\xbb\xbfa\r\n\nb\nc"[..];
        let mut source = LineSource::new(input, None);
        source.next_row().unwrap();
        let second = source.next_row().unwrap().unwrap();
        let third = source.next_row().unwrap().unwrap();
        let mut again = LineSource::new(input, None);
        let (line, end) = (second.line, second.end);
        again.skip(Beginning { rows: 2, line, end }).unwrap();
        let found = again.next_row().unwrap().unwrap();
        assert_eq!((found.index, found.line, found.end), (2, 4, third.end));
        assert_eq!(found.text, third.text);
    }

    #[test]
    fn nothing_is_no_row() {
        assert!(rows(b"").is_empty());
        assert!(rows(b"\n \n\r\n").is_empty());
    }
}
