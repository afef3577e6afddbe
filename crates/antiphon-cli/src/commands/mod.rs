//! One file a command.

pub(crate) mod analyze;
pub(crate) mod ask;
pub(crate) mod asking;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod estimate;
pub(crate) mod job;
pub(crate) mod keys;
pub(crate) mod map_reduce;
pub(crate) mod mcp;
pub(crate) mod models;
pub(crate) mod pages;
pub(crate) mod params;
pub(crate) mod review;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod sim;
pub(crate) mod vote;
