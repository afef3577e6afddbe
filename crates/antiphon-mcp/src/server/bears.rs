//! [`Bears`]: how many calls a client's model is given at once.

use std::{num::NonZeroU32, sync::Arc};

use antiphon_core::{
    SystemClock,
    layers::queue::{Bearing, ClientName, Fixed, Measured, Queue, QueueConfig, Verdicts},
};

/// How many calls a client's model is given at once.
#[derive(Clone, Debug)]
pub enum Bears {
    /// So many.
    Fixed(NonZeroU32),
    /// As many as are seen to work, and remembered here.
    Auto(Arc<dyn Verdicts>),
}

/// Clients that do not say who they are: nothing, or what their library says of all of them (Python `mcp`, 1.30 and 2.3,
/// of which the one is serial and the other parallel). They are measured in each session.
const NAMELESS: [(&str, &str); 2] = [("", ""), ("mcp", "0.1.0")];

impl Default for Bears {
    fn default() -> Self {
        Self::Fixed(NonZeroU32::MIN)
    }
}

impl Bears {
    /// The line in front of the model of a client.
    pub(super) fn queue(&self, client: &ClientName, config: QueueConfig) -> Arc<Queue> {
        let bearing: Box<dyn Bearing> = match self {
            Self::Fixed(limit) => Box::new(Fixed(*limit)),
            Self::Auto(verdicts) => {
                let remembered = match is_nameless(&client.name, &client.version) {
                    true => Arc::new(()),
                    false => Arc::clone(verdicts),
                };
                Box::new(Measured::new(client.clone(), remembered))
            }
        };
        Queue::with(bearing, config, SystemClock::shared())
    }
}

fn is_nameless(name: &str, version: &str) -> bool {
    NAMELESS.contains(&(name, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_calls_all_its_clients_is_no_name() {
        assert!(is_nameless("mcp", "0.1.0"));
        assert!(is_nameless("", ""));
        assert!(!is_nameless("mcp", "1.0.0"));
        assert!(!is_nameless("claude-ai", "0.1.0"));
    }
}
