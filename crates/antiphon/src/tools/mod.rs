//! The tools of `antiphon mcp`: what this library does, for the clients of the Model Context Protocol.

mod ask;
mod choice;
mod facts;
mod serving;

use std::sync::Arc;

use antiphon_mcp::Tool;
pub use antiphon_mcp::{Bears, Server, ServerConfig};
pub use antiphon_store::ClientBook;

pub use choice::Models;
pub use serving::server_config;

/// All tools, over these models. The only table of them.
pub fn tools(models: &Arc<Models>) -> Vec<Arc<dyn Tool>> {
    vec![Arc::new(ask::Ask::new(models))]
}
