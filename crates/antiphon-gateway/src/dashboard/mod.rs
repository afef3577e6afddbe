//! The page at `/`: what the gateway does, as it does it.
//!
//! ```text
//! calls ──> Dashboard (an observer): Statistics, bounded, behind one lock
//!              │ once a second, while somebody looks
//!              v
//!           Snapshot ──> JSON ──> Events: one text for all viewers ──> page.js draws it
//! ```
//!
//! The page is three kinds of files in the binary and loads nothing else. Names and messages on it come from callers and
//! providers and are hostile: the page puts all of them down as text, and its content security policy runs no script but
//! its own.

mod counts;
mod events;
mod files;
mod latencies;
mod latest;
mod routes;
mod seconds;
mod snapshot;
mod statistics;
mod tallies;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon::core::Clock;

use self::{events::Events, snapshot::Snapshot, statistics::Statistics};
use crate::{
    Running,
    observe::{CallBegan, CallEnded, Observer},
};

pub(crate) use routes::routes;

/// Counts calls, and tells those who look.
#[derive(Debug)]
pub(crate) struct Dashboard {
    clock: Arc<dyn Clock>,
    statistics: Mutex<Statistics>,
    events: Events,
}

impl Dashboard {
    /// Nothing counted yet.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            statistics: Mutex::new(Statistics::new()),
            events: Events::new(),
        }
    }

    /// Ends the events of everybody who looks, and lets nobody look any more.
    pub(crate) fn close(&self) {
        self.events.close();
    }

    /// What the page is told now.
    fn snapshot(&self, running: &Running) -> Snapshot {
        let gathered = self.lock().gather(self.clock.now());
        Snapshot::new(gathered, running, &*self.clock)
    }

    fn lock(&self) -> MutexGuard<'_, Statistics> {
        self.statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Dashboard {
    fn began(&self, _call: &CallBegan) {
        let now = self.clock.now();
        self.lock().began(now);
    }

    fn ended(&self, call: &CallEnded) {
        let now = self.clock.now();
        self.lock().ended(call, now);
    }
}
