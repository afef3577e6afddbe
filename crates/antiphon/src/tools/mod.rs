//! The tools of `antiphon mcp`: what this library does, for the clients of the Model Context Protocol.

mod ask;
mod choice;
mod facts;

use std::sync::Arc;

use antiphon_mcp::Tool;
pub use antiphon_mcp::{HttpConfig, HttpService, Principal, Server, ServerConfig};

pub use choice::Models;

/// What clients are told of all tools together, for the model that uses them.
pub const INSTRUCTIONS: &str = "\
Antiphon puts work to language models, many calls side by side: one question, the same to several models with one \
decision, the same about each of many documents, a whole file of requests. Give it all documents in one call rather than \
one call for each: what is inside a call runs in parallel, within what the models bear. Without a configured provider \
the tools ask your own model by sampling, and a person may have to approve each question.";

/// All tools, over these models. The only table of them.
pub fn tools(models: &Arc<Models>) -> Vec<Arc<dyn Tool>> {
    vec![Arc::new(ask::Ask::new(models))]
}
