//! What providers were asked, summed over all configurations that have been running.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use antiphon::{ErrorKind, Session, core::layers::meter::Metrics};

/// Sums over sessions. A session that was replaced still counts while calls of it are under way.
#[derive(Debug, Default)]
pub(super) struct Upstream(Mutex<Sessions>);

#[derive(Debug, Default)]
struct Sessions {
    /// Of sessions that are gone.
    past: Totals,
    live: Vec<Arc<Metrics>>,
}

/// Counts of attempts on the wire.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) attempts: u64,
    pub(super) successes: u64,
    pub(super) in_flight: u64,
    pub(super) failures: BTreeMap<ErrorKind, u64>,
    pub(super) retries: BTreeMap<ErrorKind, u64>,
}

impl Totals {
    fn add(&mut self, metrics: &Metrics) {
        let now = metrics.snapshot();
        self.attempts += now.attempts;
        self.successes += now.successes;
        self.in_flight += now.in_flight;
        let sums = [
            (&mut self.failures, now.failures),
            (&mut self.retries, now.retries),
        ];
        for (sum, more) in sums {
            for (kind, count) in more {
                *sum.entry(kind).or_default() += count;
            }
        }
    }
}

impl Upstream {
    /// Another session answers from now on.
    pub(super) fn runs(&self, session: &Session) {
        let metrics = session.metrics();
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !sessions.live.iter().any(|live| Arc::ptr_eq(live, metrics)) {
            sessions.live.push(Arc::clone(metrics));
        }
    }

    /// The sums now.
    pub(super) fn now(&self) -> Totals {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Sessions { past, live } = &mut *sessions;
        live.retain_mut(|metrics| {
            // once it is nobody else's, nobody else counts in it
            let is_live = Arc::get_mut(metrics).is_none();
            if !is_live {
                past.add(metrics);
            }
            is_live
        });
        let mut now = past.clone();
        live.iter().for_each(|metrics| now.add(metrics));
        now
    }
}

#[cfg(test)]
mod tests {
    use antiphon::ChatRequest;

    use super::*;

    #[tokio::test]
    async fn counts_go_on_when_a_session_is_replaced() {
        let upstream = Upstream::default();
        let mut expected = 0;
        for _ in 0..3 {
            let session = Session::from_toml("").unwrap();
            upstream.runs(&session);
            upstream.runs(&session);
            let model = session.model("sim/demo").unwrap();
            model.call(ChatRequest::prompt("1 + 1?")).await.unwrap();
            expected += 1;
            assert_eq!(upstream.now().attempts, expected);
            drop((model, session));
            assert_eq!(upstream.now().attempts, expected);
        }
        assert!(upstream.0.lock().unwrap().live.is_empty());
    }
}
