//! Where output lines go.

use super::ledger::Checkpoint;

/// Takes finished lines. Blocking: the sequencer's thread calls it.
pub trait Sink: Send {
    /// Writes whole lines.
    ///
    /// # Errors
    /// The output cannot be written; [`std::io::ErrorKind::BrokenPipe`] means that its reader is gone.
    fn write(&mut self, lines: &[u8]) -> std::io::Result<()>;

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// As `write`.
    fn flush(&mut self) -> std::io::Result<()>;

    /// Whether what was written stands in the output. Lines that are written aside do so only after `finish`.
    fn is_in_place(&self) -> bool {
        true
    }

    /// How much of the output stood here, in order, before this run.
    fn start(&self) -> Checkpoint;

    /// Ends the output: what was written aside takes its place.
    ///
    /// # Errors
    /// As `write`.
    fn finish(&mut self) -> std::io::Result<()>;
}

/// In which order rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// That of the input.
    #[default]
    Input,
    /// As they finish.
    Completion,
}
