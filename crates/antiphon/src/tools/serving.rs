//! `[mcp]` of the configuration, as a server takes it.

use std::{num::NonZeroU32, sync::Arc};

use antiphon_core::layers::queue::Verdicts;
use antiphon_mcp::{Bears, ServerConfig};
use antiphon_store::ClientBook;

use super::INSTRUCTIONS;
use crate::config::{ClientLimit, McpSettings};

/// How a server deals with its clients by these settings. What is found out about them is remembered in `book`, where
/// there is one.
pub fn server_config(settings: &McpSettings, book: Option<&ClientBook>) -> ServerConfig {
    let usual = ServerConfig::default();
    let remembered = || match book {
        Some(book) => Arc::new(book.clone()) as Arc<dyn Verdicts>,
        None => Arc::new(()),
    };
    ServerConfig {
        instructions: INSTRUCTIONS.to_owned(),
        bears: match settings.limit {
            None => Bears::Fixed(NonZeroU32::MIN),
            Some(ClientLimit::Fixed(limit)) => Bears::Fixed(limit),
            Some(ClientLimit::Auto) => Bears::Auto(remembered()),
        },
        on_failure: settings.on_failure.unwrap_or(usual.on_failure),
        max_waiting: settings.max_waiting.or(usual.max_waiting),
        call_timeout: settings.call_timeout.unwrap_or(usual.call_timeout),
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_core::layers::queue::OnFailure;

    use super::*;
    use crate::Config;

    #[test]
    fn what_is_configured_reaches_the_server() {
        let config = |text: &str| {
            let config = Config::from_toml(&format!("[mcp]\n{text}")).unwrap();
            server_config(&config.settings.mcp, None)
        };
        let usual = config("");
        assert!(matches!(usual.bears, Bears::Fixed(NonZeroU32::MIN)));
        assert_eq!(usual.on_failure, OnFailure::Isolate);
        assert_eq!(usual.call_timeout, Duration::from_secs(600));
        assert_eq!(usual.max_waiting, None);

        let auto = config(
            "limit = \"auto\"\non_failure = \"skip_group\"\nmax_waiting = 50\ncall_timeout = \"5m\"",
        );
        assert!(matches!(auto.bears, Bears::Auto(_)));
        assert_eq!(auto.on_failure, OnFailure::SkipGroup);
        assert_eq!(auto.max_waiting.unwrap().get(), 50);
        assert_eq!(auto.call_timeout, Duration::from_secs(300));
        assert!(matches!(config("limit = 3").bears, Bears::Fixed(limit) if limit.get() == 3));
    }
}
