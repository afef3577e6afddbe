//! Files as documents: a row each.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use antiphon_core::job::{Beginning, LineFault, RawRow, Source, line_hash};
use bytes::Bytes;
use serde_json::json;

use super::{LINE_LIMIT, LineSource};

/// Reads each file as one document, a JSON object `{"id": PATH, "text": CONTENT}`. A `.jsonl` file holds a document a line
/// instead, `{"id"?, "text", …}`, whose other fields are its metadata.
pub struct Documents {
    files: VecDeque<PathBuf>,
    lines: Option<LineSource>,
    total_bytes: Option<u64>,
    index: u64,
    /// Bytes of files that were read to their end.
    read: u64,
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Documents {
    /// The documents of these files, in their order.
    pub fn new(files: &[PathBuf]) -> Self {
        let bytes = files.iter().map(|file| Some(file.metadata().ok()?.len()));
        Self {
            files: files.iter().cloned().collect(),
            lines: None,
            total_bytes: bytes.sum(),
            index: 0,
            read: 0,
        }
    }

    /// Whether a file holds a document a line.
    pub fn holds_lines(file: &Path) -> bool {
        file.extension()
            .is_some_and(|extension| extension == "jsonl" || extension == "ndjson")
    }

    fn next_line(&mut self) -> io::Result<Option<RawRow>> {
        let Some(lines) = &mut self.lines else {
            return Ok(None);
        };
        let row = lines.next_row()?;
        if row.is_none() {
            self.lines = None;
        }
        Ok(row)
    }

    fn whole(&mut self, file: &Path) -> io::Result<RawRow> {
        let mut content = Vec::new();
        // one byte beyond the limit tells a document that is too long from one that just fits
        let limit = LINE_LIMIT as u64 + 1;
        File::open(file)?.take(limit).read_to_end(&mut content)?;
        self.read += content.len() as u64;
        let id = file.to_string_lossy().into_owned();
        // a document is known by its name, too: it stands in the output
        let name = file.as_os_str().as_encoded_bytes();
        let hash = line_hash(&[name, b"\0", content.as_slice()].concat());
        let text = if content.len() > LINE_LIMIT {
            Err(LineFault::TooLong { limit: LINE_LIMIT })
        } else {
            match String::from_utf8(content) {
                Ok(text) => Ok(Bytes::from(json!({"id": id, "text": text}).to_string())),
                Err(error) => Err(LineFault::NotUtf8 {
                    at: error.utf8_error().valid_up_to(),
                }),
            }
        };
        Ok(RawRow {
            index: 0,
            line: 0,
            end: self.read,
            hash,
            name: Some(id),
            text,
        })
    }
}

impl Source for Documents {
    fn next_row(&mut self) -> io::Result<Option<RawRow>> {
        let row = loop {
            if let Some(row) = self.next_line()? {
                break row;
            }
            let Some(file) = self.files.pop_front() else {
                return Ok(None);
            };
            if Self::holds_lines(&file) {
                let open = File::open(&file)?;
                let length = open.metadata()?.len();
                self.lines = Some(LineSource::new(open, Some(length)));
                self.read += length;
            } else {
                break self.whole(&file)?;
            }
        };
        self.index += 1;
        Ok(Some(RawRow {
            index: self.index - 1,
            // messages count documents: a line number would be one of several files
            line: self.index,
            end: self.read,
            ..row
        }))
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// Documents have no place to go on from but their number: those of the beginning are read again.
    fn skip(&mut self, beginning: Beginning) -> io::Result<()> {
        for _ in 0..beginning.rows {
            self.next_row()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_document_and_a_line_of_a_jsonl_file_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let files = [
            write("a.md", b"# A\n\ntext"),
            write(
                "many.jsonl",
                b"{\"text\":\"b\",\"year\":1999}\n\n{\"text\":\"c\"}",
            ),
            write("bad.txt", b"ok\xff"),
            write("empty.txt", b""),
        ];
        let mut source = Documents::new(&files);
        let rows: Vec<RawRow> = std::iter::from_fn(|| source.next_row().unwrap()).collect();
        let indices: Vec<u64> = rows.iter().map(|row| row.index).collect();
        assert_eq!(indices, [0, 1, 2, 3, 4]);
        let first: serde_json::Value =
            serde_json::from_slice(rows[0].text.as_ref().unwrap()).unwrap();
        assert_eq!(first["text"], "# A\n\ntext");
        assert!(first["id"].as_str().unwrap().ends_with("a.md"));
        assert_eq!(
            rows[1].text.as_ref().unwrap(),
            "{\"text\":\"b\",\"year\":1999}"
        );
        assert!(rows[3].name.as_ref().unwrap().ends_with("bad.txt"));
        assert_eq!(rows[3].text, Err(LineFault::NotUtf8 { at: 2 }));
        assert_eq!(rows.last().unwrap().end, source.total_bytes().unwrap());
        let mut again = Documents::new(&files);
        let beginning = Beginning {
            rows: 2,
            line: 2,
            end: 0,
        };
        again.skip(beginning).unwrap();
        assert_eq!(again.next_row().unwrap().unwrap().hash, rows[2].hash);
    }
}
