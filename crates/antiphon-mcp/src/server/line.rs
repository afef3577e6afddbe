//! [`Line`]: the line in front of the model of one client, and what is told of it in the end.

use std::{fmt, sync::Arc};

use antiphon_core::layers::queue::{ClientName, Queue, QueueSnapshot};
use rmcp::{RoleServer, service::RequestContext};

use super::ServerConfig;

/// Characters of a client's name or version that are told: it may say anything.
const LONGEST_NAME: usize = 64;

/// The line in front of a client's model, for as long as the client is there.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) queue: Arc<Queue>,
    client: ClientName,
}

impl Line {
    /// That of the client that a request came from.
    pub(super) fn new(config: &ServerConfig, context: &RequestContext<RoleServer>) -> Self {
        let client = context.client_info().map(|info| ClientName {
            name: info.name,
            version: info.version,
        });
        let client = client.unwrap_or_else(|| ClientName {
            name: String::new(),
            version: String::new(),
        });
        Self {
            queue: config.bears.queue(&client, config.queue()),
            client,
        }
    }
}

impl Drop for Line {
    /// The client is gone: whoever wonders why its tools were slow reads here whether they stood in line.
    fn drop(&mut self) {
        let seen = self.queue.snapshot();
        if seen.let_out > 0 || seen.refused > 0 {
            let told = Told(&self.client, &seen);
            tracing::info!("{told}");
        }
    }
}

// ---

struct Told<'a>(&'a ClientName, &'a QueueSnapshot);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(client, seen) = self;
        f.write_str("client")?;
        for word in [&client.name, &client.version] {
            let word = word.chars().take(LONGEST_NAME).collect::<String>();
            if !word.is_empty() {
                write!(f, " {}", word.escape_debug())?;
            }
        }
        let calls = if seen.let_out == 1 { "call" } else { "calls" };
        write!(
            f,
            ": {} {calls} of its model, at most {} at once and {} waiting, longest wait {:.1} s",
            seen.let_out,
            seen.most_out,
            seen.most_waiting,
            seen.longest_wait.as_secs_f64()
        )?;
        for (count, what) in [(seen.failed, "failed"), (seen.refused, "not sent")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::*;

    fn told(name: &str, version: &str, change: impl FnOnce(&mut QueueSnapshot)) -> String {
        let client = ClientName {
            name: name.to_owned(),
            version: version.to_owned(),
        };
        let mut seen = Queue::new(NonZeroU32::MIN).snapshot();
        seen.let_out = 12;
        (seen.most_out, seen.most_waiting) = (1, 4);
        seen.longest_wait = Duration::from_millis(3_210);
        change(&mut seen);
        Told(&client, &seen).to_string()
    }

    #[test]
    fn calls_width_and_waits_are_told() {
        assert_eq!(
            told("editor", "1.4", |_| {}),
            "client editor 1.4: 12 calls of its model, at most 1 at once and 4 waiting, longest wait 3.2 s"
        );
        let troubled = told("editor", "1.4", |seen| (seen.failed, seen.refused) = (2, 3));
        assert!(troubled.ends_with(" s, 2 failed, 3 not sent"), "{troubled}");
        assert!(told("", "", |seen| seen.let_out = 1).starts_with("client: 1 call of"));
    }

    #[test]
    fn a_name_cannot_write_lines_of_its_own() {
        let told = told(&"\n\u{1b}[2J".repeat(1_000), "", |_| {});
        assert!(!told.chars().any(char::is_control), "{told}");
        assert!(told.len() < 1_000, "{told}");
    }
}
