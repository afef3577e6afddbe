//! What models cost.

use std::sync::Arc;

use antiphon_core::{Error, ErrorKind, account::Rates};
use antiphon_providers::catalog::Catalog;

use super::{Session, lock};

impl Session {
    /// The catalogue in effect: what is known of models, with the user's own prices. It is read once.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`]: a file that is named is none, or a price is missing. The message says where.
    pub fn catalog(&self) -> Result<Arc<Catalog>, Error> {
        let mut catalog = lock(&self.catalog);
        if let Some(catalog) = &*catalog {
            return Ok(catalog.clone());
        }
        let read = self.config.catalog(self.options.catalog.as_deref());
        let read = read.map_err(|error| Error::new(ErrorKind::BadRequest, error.to_string()))?;
        *catalog = Some(read.clone());
        Ok(read)
    }

    /// What answers of a provider's model cost and take. Where nothing is known of it, that is unknown, never 0.
    ///
    /// # Errors
    /// As [`Session::catalog`].
    pub fn rates(&self, provider: &str, model: &str) -> Result<Arc<dyn Rates>, Error> {
        let zone = self.zone(provider);
        Ok(self.catalog()?.rates(provider, model, zone))
    }
}
