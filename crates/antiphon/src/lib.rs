//! Run large numbers of LLM requests in parallel: as fast as the providers' limits allow, paying for each answer once,
//! losing none.
//!
//! ```
//! use antiphon::{Session, batch, generate_object};
//!
//! #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
//! struct Review {
//!     /// Between 1 and 10.
//!     #[schemars(range(min = 1, max = 10))]
//!     score: u8,
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // antiphon.toml and the environment; `sim` needs no key, `openai/gpt-4o-mini` reads OPENAI_API_KEY
//!     let model = Session::from_env()?.model("sim/demo")?;
//!
//!     let review = generate_object::<Review>(&model, "Review: it broke after a day").await?;
//!     println!("{} of 10", review.value.score);
//!
//!     let questions = (1..=100).map(|number| format!("What is {number} + 1?"));
//!     let result = batch(model, questions)
//!         .max_concurrent(20)
//!         .on_progress(|done, total, _| eprint!("\r{done} of {total}"))
//!         .run()
//!         .await;
//!     for (index, reply) in result.successes() {
//!         println!("{index}: {reply}");
//!     }
//!     for (index, error) in result.failures() {
//!         println!("{index}: {}: {error}", error.kind());
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Everything that answers a chat request is a [`Model`]. A [`Session`] turns a name into one with all its layers around
//! it; a pattern turns several calls into one answer, or into one outcome for each:
//!
//! ```text
//! your program ──> patterns: batch, race, fallback, ensemble, vote, review, map-reduce, …
//!                     │ each call
//!                     v
//! Session::model ──> deadline ▸ coalesce ▸ cache ▸ validate ▸ retry ▸ admit ▸ meter ▸ timeout ──> OpenAI, Anthropic,
//!     ^                 (limits of the account, shared by all its callers)                        local, simulator
//!     └── antiphon.toml, environment
//! ```
//!
//! # Where to go next
//!
//! - [`patterns`]: the guide. What each pattern is for, what it costs in calls, what it does on failure.
//! - [`generate_text`], [`generate_object`], [`stream_text`], [`batch`](batch()), [`batch_objects`]: the usual calls.
//! - [`Session`]: models by name, limits, the [response cache](Session::cache_dir), a [configuration without
//!   files](Session::from_toml).
//! - [`create_ensemble`]: several answers and one decision, from a key alone.
//! - [`run`]: a file of prompts to a file of answers, with a ledger, so that a crash costs nothing: what `antiphon run` does.
//! - [`core`]: the heart, for layers, models and jobs of your own.

pub mod compare;
pub mod config;
mod ensemble;
pub mod env;
mod known;
mod lines;
pub mod map_reduce;
pub mod numbers;
pub mod page;
pub mod patterns;
pub mod run;
pub mod session;
mod single;
mod template;
pub mod tools;
mod words;

pub use antiphon_core as core;
pub use antiphon_core::chat::Object;
pub use antiphon_core::patterns::{batch, batch_objects};
pub use antiphon_core::{
    ChatRequest, Error, ErrorKind, Message, Model, Reply, Schema, SharedModel, Spent, SystemClock,
    Usage, Usd,
};
pub use antiphon_providers::catalog::{self, zones};
pub use antiphon_providers::{fronts, transport};
pub use antiphon_store::{BudgetFile, StateDir, StateDirError};
pub use config::{Config, ConfigError};
pub use ensemble::{create_ensemble, create_ensemble_in};
pub use known::{nearest_model, nearest_priced};
pub use schemars;
pub use session::Session;
pub use single::{generate_object, generate_text, stream_text};
pub use template::{Template, TemplateError};
pub use words::{nearest, parse_duration};

/// The program in the README, compiled and run with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The program in the guide of MCP.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/mcp.md")]
struct Mcp;
