//! [`Company`]: the calls that are out, and beside how many others each has been.

use std::{collections::BTreeMap, time::Duration};

use super::super::bearing::Turn;
use crate::Moment;

/// While others are answered, a call is lost only after so many times the patience.
const LOST: u32 = 4;

/// A call that is out.
#[derive(Clone, Copy, Debug)]
struct Out {
    started: Moment,
    /// The sums when it started.
    before: Sums,
    /// Since when it has been out beside others.
    beside: Option<Moment>,
    /// The most that were out while it was.
    most: u32,
}

/// A call that was out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Was {
    pub(super) took: Duration,
    /// Calls that were out while it was, on average, itself included.
    pub(super) load: f64,
    /// Seconds that it would have been handled for by a client of the supposed capacity.
    pub(super) handled: f64,
    /// The most that were out while it was.
    pub(super) most: u32,
}

/// Sums over time, in seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Of the calls that were out.
    out: f64,
    /// Of the part of each that a client of some capacity would have handled.
    handled: f64,
}

/// Calls that are out.
#[derive(Debug)]
pub(super) struct Company {
    out: BTreeMap<Turn, Out>,
    capacity: u32,
    /// Up to `at`.
    sums: Sums,
    at: Moment,
    /// When a call ended last.
    heard: Moment,
}

impl Company {
    pub(super) fn new() -> Self {
        Self {
            out: BTreeMap::new(),
            capacity: 1,
            sums: Sums::default(),
            at: Moment::ZERO,
            heard: Moment::ZERO,
        }
    }

    fn pass(&mut self, now: Moment) {
        let (out, seconds) = (self.out.len() as f64, now.since(self.at).as_secs_f64());
        self.sums.out += out * seconds;
        self.sums.handled += seconds * (f64::from(self.capacity) / out.max(1.0)).min(1.0);
        self.at = self.at.max(now);
    }

    /// From the last event on it is summed up what a client would do that handles so many calls at once.
    pub(super) fn suppose(&mut self, capacity: u32) {
        self.capacity = capacity;
    }

    pub(super) fn start(&mut self, turn: Turn, now: Moment) {
        self.pass(now);
        let call = Out {
            started: now,
            before: self.sums,
            beside: None,
            most: 1,
        };
        self.out.insert(turn, call);
        let most = self.out.len() as u32;
        if most > 1 {
            for call in self.out.values_mut() {
                call.beside.get_or_insert(now);
                call.most = call.most.max(most);
            }
        }
    }

    /// The most that were out while this call has been; 0: it is not out.
    pub(super) fn most(&self, turn: Turn) -> u32 {
        self.out.get(&turn).map_or(0, |call| call.most)
    }

    /// `None`: it is not out.
    pub(super) fn end(&mut self, turn: Turn, now: Moment) -> Option<Was> {
        self.pass(now);
        let still = self.out.len() as f64;
        let call = self.out.remove(&turn)?;
        self.heard = self.heard.max(now);
        let took = now.since(call.started);
        let load = match took.is_zero() {
            true => still,
            false => (self.sums.out - call.before.out) / took.as_secs_f64(),
        };
        Some(Was {
            took,
            load,
            handled: self.sums.handled - call.before.handled,
            most: call.most,
        })
    }

    /// When calls beside others will have been silent for too long, if nothing comes.
    pub(super) fn silent_at(&self, patience: Duration) -> Option<Moment> {
        let beside = self.out.values().filter_map(|call| call.beside).min()?;
        let all = beside.max(self.heard) + patience;
        Some(all.min(beside + LOST * patience))
    }

    /// Takes back the calls beside others that have been silent for too long: all of them where none was heard of, else
    /// those that must be lost.
    pub(super) fn take_silent(&mut self, patience: Duration, now: Moment) -> Vec<Turn> {
        self.pass(now);
        let beside = self.out.iter();
        let beside = beside.filter_map(|(turn, call)| Some((*turn, call.beside?)));
        let first = beside.clone().map(|(_, since)| since).min();
        let is_quiet = first.is_some_and(|first| first.max(self.heard) + patience <= now);
        let silent: Vec<Turn> = beside
            .filter(|(_, since)| is_quiet || *since + LOST * patience <= now)
            .map(|(turn, _)| turn)
            .collect();
        for turn in &silent {
            self.out.remove(turn);
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_call_is_measured_with_its_company() {
        let mut company = Company::new();
        company.start(1, at(0));
        company.start(2, at(5));
        let first = company.end(1, at(10)).unwrap();
        assert_eq!((first.took, first.most), (Duration::from_secs(10), 2));
        assert_eq!((first.load, first.handled), (1.5, 7.5));
        let second = company.end(2, at(20)).unwrap();
        assert!((second.load - 20.0 / 15.0).abs() < 1e-9);
        assert_eq!(second.handled, 12.5);
        assert!(company.end(2, at(21)).is_none());
    }

    #[test]
    fn silence_is_that_of_all_or_a_long_one() {
        let patience = Duration::from_secs(30);
        let mut company = Company::new();
        company.start(1, at(0));
        assert_eq!(
            company.silent_at(patience),
            None,
            "alone it may take its time"
        );
        company.start(2, at(10));
        company.start(3, at(10));
        assert_eq!(company.silent_at(patience), Some(at(40)));
        company.end(2, at(35));
        assert!(company.take_silent(patience, at(40)).is_empty());
        assert_eq!(company.silent_at(patience), Some(at(65)));
        for turn in 4..20 {
            company.start(turn, at(30 + 5 * turn));
            company.end(turn, at(31 + 5 * turn));
        }
        assert_eq!(company.silent_at(patience), Some(at(130)));
        assert_eq!(company.take_silent(patience, at(130)), [1, 3]);
        assert_eq!(company.silent_at(patience), None);
    }
}
