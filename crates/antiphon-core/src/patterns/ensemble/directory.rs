//! [`Directory`]: models by name.

use crate::{Error, SharedModel};

/// Finds the model behind a name. A name may mean another model tomorrow, so it is looked up at each call.
pub trait Directory: Send + Sync + std::fmt::Debug {
    /// The model of this name, with all its layers.
    ///
    /// # Errors
    /// The name is unknown, or its model cannot be called; the message says what is missing.
    fn model(&self, name: &str) -> Result<SharedModel, Error>;
}
