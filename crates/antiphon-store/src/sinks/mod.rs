//! Writers of output.

mod file;
mod stream;

pub use file::{FileSink, Standing};
pub use stream::StreamSink;
