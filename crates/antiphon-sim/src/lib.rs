//! The simulated provider: what a newcomer's first command runs against, and what the tests prove things with.
//!
//! It answers in the wire formats of OpenAI (chat completions, responses, embeddings) and Anthropic (messages, counts of
//! tokens), over HTTP or in this process, and every text says that it is simulated. Equal
//! requests get equal answers on every run, in either dialect and in process (there, samples of a request differ as choices
//! do; the wire does not carry their number); faults are drawn for each attempt from a
//! seed, so the same prompt asked again can succeed. Its ledger shows what was asked and what was answered: anyone can
//! prove with it that nothing was paid twice.
//!
//! ```
//! use antiphon_core::{ChatRequest, Model, SystemClock};
//! use antiphon_sim::{SimConfig, SimModel};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let config = SimConfig { fail: vec!["no-usage=10%".parse().unwrap()], ..SimConfig::default() };
//! let model = SimModel::new("sim/small", config, SystemClock::shared());
//! let response = model.call(ChatRequest::prompt("What is 17 + 25?")).await.unwrap();
//! let answer = response.whole().await.unwrap().answer;
//! assert!(answer.text.starts_with("(simulated)"));
//! assert_eq!(model.ledger().report().answered, 1);
//! # });
//! ```
//!
//! ```text
//! ChatRequest ─> SimModel ─┐                     ┌─ answer/   what is said: prose, sums, instances of schemas
//!                          ├─> ask ─> Simulator ─┼─ limits    requests and tokens per minute
//! HTTP ──> SimServer ──────┘       (judges)      ├─ kind      the table of faults
//!            wire/ writes JSON, SSE, headers     └─ ledger    the books
//! ```
//!
//! A tool is called when the request forces it, or when the question names it and the request leaves it open: "use
//! get_weather for Rome". Thoughts are shown to who asks for them (`reasoning_effort`, `reasoning.effort`, `thinking`).
//! `GET /sim/recent` has the last requests as they came, their keys as fingerprints.
//!
//! Tokens are counted as one for each four bytes begun, over texts, tools and schema; 85 for any part that is not
//! text. Both dialects count alike.

mod answer;
mod ask;
mod body;
mod config;
mod dice;
mod kind;
mod ledger;
mod limits;
mod model;
mod pace;
mod recent;
mod rejection;
mod report;
mod server;
mod simulator;
mod tokens;
mod wire;

pub use config::{Fault, InvalidSetting, Outage, SimConfig, Window};
pub use kind::{Fate, FaultKind};
pub use ledger::SimLedger;
pub use model::SimModel;
pub use report::{LedgerReport, PromptCount};
pub use server::{RunningSim, SimServer};
pub use simulator::Simulator;
