//! Readers of input. A new format is a file here and a row in [`FORMATS`].

mod count;
mod documents;
mod lines;
mod repeated;
mod sampled;

pub use count::count_rows;
pub use documents::Documents;
pub use lines::{LINE_LIMIT, LineSource};
pub use repeated::Repeated;
pub use sampled::{Drawn, Sampled};

/// A format of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Its name in `--input-format`, which is also its file extension.
    pub name: &'static str,
    /// What a line is.
    pub rows: Rows,
}

/// What the lines of a format hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// A JSON object a line.
    Json,
    /// A prompt a line.
    Text,
}

/// The formats that can be read.
pub const FORMATS: &[Format] = &[
    Format {
        name: "jsonl",
        rows: Rows::Json,
    },
    Format {
        name: "txt",
        rows: Rows::Text,
    },
];

/// The format of this name.
pub fn format(name: &str) -> Option<Format> {
    FORMATS.iter().copied().find(|format| format.name == name)
}
