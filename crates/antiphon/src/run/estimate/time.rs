//! How long a run will take, as far as limits and earlier answers tell.

use std::collections::BTreeMap;

use antiphon_core::account::estimate::Estimate;
use antiphon_core::layers::admit::{AccountConfig, seconds_for};
use serde::Serialize;

use super::group::{Group, Rest};
use crate::run::check::ADAPTIVE_CONCURRENCY;

/// Time that a run takes, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeEstimate {
    /// At least: the provider's own speed and limits may make it longer.
    pub low: f64,
    /// At most, where limits and speed are known.
    pub high: Option<f64>,
    /// What it is bound by: a limit, or the latency of the answers so far.
    pub bound_by: &'static str,
}

/// What an account has to do.
struct Load {
    account: AccountConfig,
    calls: u64,
    input: Estimate,
    output: Estimate,
    /// Seconds on the wire, all together, at least and at most: how the calls of a row follow on each other is not known.
    /// `None` where no answer was seen of some.
    on_wire: Option<(f64, f64)>,
}

/// The time of the slowest account; `None` where nothing is known of any.
pub(super) fn of(groups: &[(&Group, Rest)]) -> Option<TimeEstimate> {
    let mut loads: BTreeMap<&str, Load> = BTreeMap::new();
    for (group, rest) in groups {
        for (target, share, calls) in group.shares() {
            let nothing = Estimate::exactly(0.0);
            let load = loads.entry(&target.name).or_insert_with(|| Load {
                account: target.account,
                calls: 0,
                input: nothing,
                output: nothing,
                on_wire: Some((0.0, 0.0)),
            });
            load.calls += calls;
            load.input = load.input.and(rest.input.times(share));
            load.output = load.output.and(rest.output.times(share));
            let seconds = group.latency().map(|latency| latency.as_secs_f64());
            load.on_wire = load.on_wire.zip(seconds).map(|((low, high), seconds)| {
                (
                    low + seconds * group.rows as f64,
                    high + seconds * calls as f64,
                )
            });
        }
    }
    let times = loads.values().filter_map(Load::time);
    // they work side by side
    let mut slowest = times.clone().max_by(|a, b| a.low.total_cmp(&b.low))?;
    let all_known = times.clone().count() == loads.len();
    let mut highs = times.map(|time| time.high);
    let high = highs.try_fold(0.0, |most: f64, high| Some(most.max(high?)));
    slowest.high = high.filter(|_| all_known);
    Some(slowest)
}

impl Load {
    fn time(&self) -> Option<TimeEstimate> {
        let quota = &self.account.quota;
        let both = self.input.and(self.output);
        let calls = Estimate::exactly(self.calls as f64);
        let limits = [
            ("rpm", quota.rpm, calls),
            ("tpm", quota.tpm, both),
            ("itpm", quota.itpm, self.input),
            ("otpm", quota.otpm, self.output),
        ];
        let limits = limits.into_iter().filter_map(|(name, limit, load)| {
            let limit = limit? as f64;
            let high = seconds_for(load.high, limit);
            // one that lets all pass at once bounds nothing
            (high > 0.0).then(|| (name, seconds_for(load.low, limit), high))
        });
        let most = self
            .account
            .concurrency
            .map_or(ADAPTIVE_CONCURRENCY, u32::from);
        let at_once = u64::from(most).min(self.calls.max(1)) as f64;
        let latency = self
            .on_wire
            .map(|(low, high)| ("latency", low / at_once, high / at_once));
        let known = limits.chain(latency);
        let (bound_by, low, _) = known.clone().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let high = known.map(|(_, _, high)| high).fold(0.0, f64::max);
        // how many calls a provider takes at once is known only where the user says so
        let is_known = latency.is_some() && self.account.concurrency.is_some();
        Some(TimeEstimate {
            low,
            high: is_known.then_some(high),
            bound_by,
        })
    }
}
