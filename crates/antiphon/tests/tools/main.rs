//! The tools of `antiphon mcp`, called as a server calls them.

#![allow(missing_docs, reason = "a test")]

mod arguments;
mod client;
mod failures;
mod rounds;
mod schemas;
mod simulated;
mod support;
