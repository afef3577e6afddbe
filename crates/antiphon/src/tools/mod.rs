//! The tools of `antiphon mcp`: what this library does, for the clients of the Model Context Protocol.

mod ask;
mod choice;
mod facts;
#[cfg(test)]
mod file_tests;
mod folder;
mod job_status;
mod jobs;
mod lent;
mod numbers;
mod run_file;
mod wording;

use std::sync::Arc;

use antiphon_mcp::Tool;
pub use antiphon_mcp::{Server, ServerConfig};

pub use choice::Models;
pub use folder::Folder;

/// All tools, over these models. The only table of them.
pub fn tools(models: &Arc<Models>) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(ask::Ask::new(models)),
        Arc::new(run_file::RunFile::new(models)),
        Arc::new(job_status::JobStatus::new(models)),
    ]
}
