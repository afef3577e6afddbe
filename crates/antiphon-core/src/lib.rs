//! The heart of Antiphon: everything that answers a chat request is a [`Model`].
//!
//! Layers wrap a [`Model`] and give a [`Model`]; patterns combine models and give a model. This crate knows nothing of
//! HTTP, files or command lines, and no clock or dice of its own: both are parameters.
//!
//! ```text
//! ChatRequest ──> deadline ▸ coalesce ▸ cache ▸ validate ▸ retry ▸ spend ▸ admit ▸ meter ▸ timeout ──> leaf (provider, simulator)
//!                                                                                                        │
//! ChatResponse = Head (facts) + Body (whole or streamed; carries what was reserved) <────────────────────┘
//! ```

pub mod account;
pub mod chat;
pub mod clock;
mod error;
mod fingerprint;
pub mod job;
pub mod layers;
pub(crate) mod makeup;
mod model;
pub mod patterns;
pub mod schema;
pub mod stack;

pub use account::{Spent, Usage, Usd};
pub use chat::{
    Answer, Body, ChatDelta, ChatRequest, ChatResponse, FinishReason, Head, Message, Reply,
};
pub use clock::{Clock, Dice, Moment, SystemClock};
pub use error::{Advice, Error, ErrorKind, Phase};
pub use fingerprint::Fingerprint;
pub use makeup::Makeup;
pub use model::{BoxFuture, Limits, Model, SharedModel};
pub use schema::Schema;
