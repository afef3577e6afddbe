//! Prometheus metrics: what callers asked and got, what providers were asked for it, and what is left.
//!
//! ```text
//! CallEnded ──> Names (which models have a name of their own) ──> Series (atomics of one model, key and wire)
//!                                                                     │ at a scrape
//! Session's meters, accounts, budgets ────────────────────────────────┴──> Page ──> text
//! ```
//!
//! A call finds its series under a read lock and adds to atomics; everything else is done when somebody scrapes.
//! Numbers live as long as the process: a configuration that is read again goes on with the same series.

mod histogram;
mod names;
mod page;
mod series;
mod tables;
mod text;
mod upstream;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use arc_swap::ArcSwap;

use self::{
    names::Names,
    series::{Labels, Series},
    upstream::Upstream,
};
use super::{CallBegan, CallEnded, Observer, short};
use crate::Running;

pub(crate) use text::scraped;

/// Series of models that nobody configured and no table knows: beyond so many they share one. A server that answers
/// whatever it is called would otherwise let its callers fill the memory of whoever scrapes.
const MOST_UNKNOWN_MODELS: usize = 256;

/// What a gateway counts.
#[derive(Debug)]
pub(crate) struct GatewayMetrics {
    started: Instant,
    in_flight: AtomicU64,
    names: ArcSwap<Names>,
    series: RwLock<HashMap<Labels, Arc<Series>>>,
    upstream: Upstream,
}

impl GatewayMetrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            in_flight: AtomicU64::new(0),
            names: ArcSwap::default(),
            series: RwLock::default(),
            upstream: Upstream::default(),
        }
    }

    /// The series of a call.
    fn series_of(&self, end: &CallEnded) -> Arc<Series> {
        let names = self.names.load();
        let answered = end.model.clone();
        let mut labels = Labels {
            model: answered.unwrap_or_else(|| names.asked(&end.call.asked)),
            key: end.call.caller.clone().unwrap_or_default(),
            wire: end.call.wire,
        };
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = series.get(&labels) {
            return Arc::clone(series);
        }
        drop(series);
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if !names.knows(&labels.model) {
            labels.model = short(&labels.model).into();
        }
        if !names.knows(&labels.model) && !has_model(&series, &labels.model) {
            let mut unknown: Vec<&str> = series.keys().map(|labels| &*labels.model).collect();
            unknown.sort_unstable();
            unknown.dedup();
            if unknown.iter().filter(|model| !names.knows(model)).count() >= MOST_UNKNOWN_MODELS {
                labels.model = names::OTHER.into();
            }
        }
        Arc::clone(series.entry(labels).or_default())
    }

    /// Whether a model has a label of its own: it is known, or has answered.
    fn has_label(&self, model: &str) -> bool {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        self.names.load().knows(model) || has_model(&series, model)
    }

    /// All series in the order of their labels.
    fn all(&self) -> Vec<(Labels, Arc<Series>)> {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let all = series.iter();
        let mut all: Vec<_> = all
            .map(|(labels, series)| (labels.clone(), Arc::clone(series)))
            .collect();
        drop(series);
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

fn has_model(series: &HashMap<Labels, Arc<Series>>, model: &str) -> bool {
    series.keys().any(|labels| &*labels.model == model)
}

impl Observer for GatewayMetrics {
    fn runs(&self, running: &Running) {
        self.names.store(Arc::new(Names::of(&running.session)));
        self.upstream.runs(&running.session);
    }

    fn began(&self, _call: &CallBegan) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    fn ended(&self, end: &CallEnded) {
        self.in_flight.fetch_sub(1, Relaxed);
        self.series_of(end).ended(end);
    }
}
