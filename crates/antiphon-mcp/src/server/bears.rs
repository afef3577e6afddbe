//! [`Bears`]: how many calls a client's model is given at once.

use std::{num::NonZeroU32, sync::Arc};

use antiphon_core::{
    SystemClock,
    layers::queue::{Bearing, ClientName, Fixed, Measured, Queue, QueueConfig, Verdicts},
};
use rmcp::{RoleServer, service::RequestContext};

/// How many calls a client's model is given at once.
#[derive(Clone, Debug)]
pub enum Bears {
    /// So many.
    Fixed(NonZeroU32),
    /// As many as are seen to work, and remembered here.
    Auto(Arc<dyn Verdicts>),
}

impl Default for Bears {
    fn default() -> Self {
        Self::Fixed(NonZeroU32::MIN)
    }
}

impl Bears {
    /// The line in front of the model of the client that a request came from.
    pub(super) fn queue(
        &self,
        context: &RequestContext<RoleServer>,
        config: QueueConfig,
    ) -> Arc<Queue> {
        let bearing: Box<dyn Bearing> = match self {
            Self::Fixed(limit) => Box::new(Fixed(*limit)),
            Self::Auto(verdicts) => {
                // a client that does not say who it is shares what is known with all that do not
                let info = context.client_info();
                let client = info.map(|info| (info.name, info.version));
                let (name, version) = client.unwrap_or_default();
                let client = ClientName { name, version };
                Box::new(Measured::new(client, Arc::clone(verdicts)))
            }
        };
        Queue::with(bearing, config, SystemClock::shared())
    }
}
