//! After which errors a chain goes on.

use crate::{Advice, Error, ErrorKind};

/// After which errors a chain asks its next model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MovesOn {
    /// Whatever another model may do better, a wrong key and a missing model included. If all fail, the error is of the
    /// kind that does least harm to a job.
    #[default]
    Elsewhere,
    /// Faults of the provider, requests that are too long for the model, and empty accounts. What else a provider
    /// answers goes back as it came: whoever called through a gateway is to see a wrong key, and not to be served by
    /// another model for months. If all fail, the error has what the last provider has said.
    Faults,
}

impl MovesOn {
    pub(super) fn after(self, error: &Error) -> bool {
        use ErrorKind::{
            BadResponse, Connection, ContextLength, OffSchema, Overloaded, QuotaExhausted,
            RateLimited, ServerError, Timeout,
        };
        match self {
            Self::Elsewhere => error.advice() != Advice::Never || error.kind() == OffSchema,
            Self::Faults => matches!(
                error.kind(),
                BadResponse
                    | Connection
                    | ContextLength
                    | OffSchema
                    | Overloaded
                    | QuotaExhausted
                    | RateLimited
                    | ServerError
                    | Timeout
            ),
        }
    }
}
