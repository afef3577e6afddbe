//! An output that cannot be read back: stdout.

use std::io::Write;

use antiphon_core::job::{Checkpoint, Sink};

/// Writes to a stream, always from the first row on.
#[derive(Debug)]
pub struct StreamSink<W>(W);

impl<W: Write + Send> StreamSink<W> {
    /// Writes to `stream`.
    pub fn new(stream: W) -> Self {
        Self(stream)
    }
}

impl<W: Write + Send> Sink for StreamSink<W> {
    fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        self.0.write_all(lines)?;
        // whoever reads the other end of a pipe wants lines as they come
        self.0.flush()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }

    fn start(&self) -> Checkpoint {
        Checkpoint::default()
    }

    fn finish(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
