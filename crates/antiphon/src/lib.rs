//! Run large numbers of LLM requests in parallel: as fast as the providers' limits allow, paying for each answer once,
//! losing none.
//!
//! This crate is what library users depend on. It turns configuration and environment into named models and runs files
//! of prompts through them.

pub mod config;
mod ensemble;
pub mod env;
mod lines;
pub mod run;
pub mod session;
mod single;
mod template;
mod words;

pub use antiphon_core as core;
pub use antiphon_core::patterns::{batch, batch_objects};
pub use config::{Config, ConfigError};
pub use ensemble::{create_ensemble, create_ensemble_in};
pub use schemars;
pub use session::Session;
pub use single::{generate_object, generate_text, stream_text};
pub use template::{Template, TemplateError};
pub use words::{nearest, parse_duration};
