//! How fast calls came.

use std::collections::VecDeque;

use antiphon_core::Moment;

/// The window, in milliseconds.
const MINUTE: u64 = 60_000;
/// Seconds whose calls are listed.
const SECONDS: usize = 120;

/// A sliding minute, exact to the millisecond: a window in which nothing is rounded up never shows more than there was.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Milliseconds and tokens of the calls of the last minute.
    minute: VecDeque<(u64, u32)>,
    tokens: u64,
    most_calls: usize,
    most_tokens: u64,
    seconds: VecDeque<(u64, u32)>,
}

impl Pace {
    pub(crate) fn note(&mut self, now: Moment, tokens: u64) {
        let now = u64::try_from(now.since_start().as_millis()).unwrap_or(u64::MAX);
        // callers read the clock before they take the lock, so times may come slightly out of order
        while let Some(&(moment, used)) = self.minute.front() {
            if now.saturating_sub(moment) < MINUTE {
                break;
            }
            self.minute.pop_front();
            self.tokens -= u64::from(used);
        }
        let used = u32::try_from(tokens).unwrap_or(u32::MAX);
        self.minute.push_back((now, used));
        self.tokens += u64::from(used);
        self.most_calls = self.most_calls.max(self.minute.len());
        self.most_tokens = self.most_tokens.max(self.tokens);
        match self.seconds.back_mut() {
            Some((second, calls)) if *second >= now / 1000 => *calls += 1,
            _ => self.seconds.push_back((now / 1000, 1)),
        }
        if self.seconds.len() > SECONDS {
            self.seconds.pop_front();
        }
    }

    pub(crate) fn most_calls(&self) -> u64 {
        self.most_calls as u64
    }

    pub(crate) fn most_tokens(&self) -> u64 {
        self.most_tokens
    }

    /// Calls in each second, silent ones included.
    pub(crate) fn calls_per_second(&self) -> Vec<u32> {
        let Some(&(last, _)) = self.seconds.back() else {
            return Vec::new();
        };
        let oldest = last.saturating_sub(SECONDS as u64 - 1);
        let first = self
            .seconds
            .front()
            .map_or(last, |(second, _)| (*second).max(oldest));
        let mut calls = vec![0; usize::try_from(last - first).unwrap_or(0) + 1];
        for (second, count) in &self.seconds {
            let index = second
                .checked_sub(first)
                .and_then(|index| usize::try_from(index).ok());
            if let Some(slot) = index.and_then(|index| calls.get_mut(index)) {
                *slot = *count;
            }
        }
        calls
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_busiest_minute_is_found() {
        let mut pace = Pace::default();
        for millis in [0, 1000, 1500, 60_000, 60_999, 61_000, 200_000] {
            pace.note(Moment::after_start(Duration::from_millis(millis)), 10);
        }
        assert_eq!(pace.most_calls(), 4);
        assert_eq!(pace.most_tokens(), 40);
        let calls = pace.calls_per_second();
        assert_eq!((calls.len(), calls.last()), (SECONDS, Some(&1)));
    }
}
