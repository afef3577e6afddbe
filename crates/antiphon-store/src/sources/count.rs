//! Counts the rows that a stopped run did not come to read.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
};

use super::lines::{BOM, BUFFER};

/// Counts the non-blank lines of a file from a byte on, where a line must begin; `most` of them are enough. Of each line
/// only the end is looked for.
///
/// # Errors
/// The file cannot be read.
pub fn count_rows(mut file: File, from: u64, most: u64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(from))?;
    let mut input = BufReader::with_capacity(BUFFER, file);
    if from == 0 && input.fill_buf()?.starts_with(BOM) {
        input.consume(BOM.len());
    }
    let mut rows = 0;
    let mut blank_so_far = true;
    while rows < most {
        let chunk = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        if chunk.is_empty() {
            break;
        }
        let newline = memchr::memchr(b'\n', chunk);
        let piece = &chunk[..newline.unwrap_or(chunk.len())];
        if blank_so_far && !piece.iter().all(u8::is_ascii_whitespace) {
            blank_so_far = false;
            rows += 1;
        }
        blank_so_far |= newline.is_some();
        let used = newline.map_or(chunk.len(), |at| at + 1);
        input.consume(used);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use antiphon_core::job::Source;

    use super::*;
    use crate::sources::LineSource;

    #[test]
    fn as_many_rows_are_counted_as_are_read_from_any_row_on() {
        let long = "x".repeat(3 * BUFFER);
        let spaces = " ".repeat(2 * BUFFER);
        let input = format!(
            "\u{feff}\r\n\n{{}}\r\n \t\r\n  b\n{long}\n{spaces}\n{spaces}c\n\n\u{feff}\nlast"
        );
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(input.as_bytes()).unwrap();
        let count = |from, most| count_rows(file.try_clone().unwrap(), from, most).unwrap();

        let mut source = LineSource::new(io::Cursor::new(input), None);
        let rows: Vec<_> = std::iter::from_fn(|| source.next_row().unwrap()).collect();
        assert_eq!(rows.len(), 6);
        assert_eq!(count(0, u64::MAX), 6);
        for (after, row) in rows.iter().enumerate() {
            assert_eq!(count(row.end, u64::MAX), 5 - after as u64);
        }
        assert_eq!(count(0, 2), 2);
        assert_eq!(count(0, 0), 0);
    }
}
