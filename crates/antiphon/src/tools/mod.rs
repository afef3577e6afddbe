//! The tools of `antiphon mcp`: what this library does, for the clients of the Model Context Protocol.
//!
//! ```text
//! arguments ──> checked, as types ──> Models::choose: a configured model, or the client's own
//!                                       │ Watch: each answer is told as progress
//!                                       v
//!                                     a pattern of the library, all calls at once ──> result, as its type says
//! ```
//!
//! A tool writes ordinary parallel code: what the model bears is decided in front of it. In the newer era of the protocol a
//! call is made again from its beginning with what the client's model has said so far, so equal arguments must give equal
//! requests: no time, no chance, and no order but that of the arguments.

mod analyze_documents;
mod ask;
mod choice;
mod documents;
mod ensemble;
mod facts;
#[cfg(test)]
mod file_tests;
mod folder;
mod job_status;
mod jobs;
mod lent;
mod map_reduce;
mod review;
mod run_file;
mod serving;
mod spending;
mod typed;
mod votes;
mod watched;
mod wording;

use std::sync::Arc;

pub use antiphon_mcp::{
    Bears, Call, Effects, HttpConfig, HttpService, Principal, Progress, Server, ServerConfig, Step,
    Tool, ToolFacts,
};

pub use antiphon_store::ClientBook;

pub use choice::Models;
pub use folder::Folder;
pub use serving::server_config;
use typed::tool;

/// What clients are told of all tools together, for the model that uses them.
const INSTRUCTIONS: &str = "\
Antiphon puts work to language models, many calls side by side: one question, the same to several models with one \
decision, the same about each of many documents, a whole file of requests. Give it all documents in one call rather than \
one call for each: what is inside a call runs in parallel, within what the models bear. Without a configured provider \
the tools ask your own model by sampling, and a person may have to approve each question.";

/// All tools, over these models. The only table of them.
pub fn tools(models: &Arc<Models>) -> Vec<Arc<dyn Tool>> {
    vec![
        tool::<ask::Ask>(models),
        tool::<ensemble::Ensemble>(models),
        tool::<map_reduce::MapReduce>(models),
        tool::<analyze_documents::AnalyzeDocuments>(models),
        tool::<review::Review>(models),
        tool::<run_file::RunFile>(models),
        tool::<job_status::JobStatus>(models),
    ]
}
