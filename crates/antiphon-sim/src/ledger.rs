//! What was asked and what was answered: the other side's books, with which anyone can prove that nothing was paid
//! twice.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{LedgerReport, PromptCount, pace::Pace};
use antiphon_core::{Fingerprint, Moment, Usage};

/// Shards of the table of prompts: concurrent requests rarely meet on a lock.
const SHARDS: usize = 64;
/// Repeated prompts that a report lists.
const MOST_LISTED: usize = 100;
/// Bytes of a prompt that are kept when prompts are kept.
const KEPT_BYTES: usize = 120;

/// Counts of one simulated provider. Every attempt that was asked ends up in exactly one of `answered`, `spoiled`,
/// `failed`, `rate_limited`, `rejected` and `abandoned`, or is still `in_flight`.
#[derive(Debug)]
pub struct SimLedger {
    prompts: [Mutex<HashMap<Fingerprint, Entry>>; SHARDS],
    ends: [AtomicU64; End::COUNT],
    asked: AtomicU64,
    in_flight: AtomicU64,
    peak_in_flight: AtomicU64,
    connections: AtomicU64,
    outage_calls: AtomicU64,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    faults: Mutex<BTreeMap<String, u64>>,
    pace: Mutex<Pace>,
}

#[derive(Debug, Default)]
struct Entry {
    asked: u32,
    answered: u32,
    text: Option<Box<str>>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A whole answer was handed over.
    Answered,
    /// An answer was made that nobody can read.
    Spoiled,
    /// An injected failure, without an answer.
    Failed,
    /// The limits refused it.
    RateLimited,
    /// The request itself was at fault, or its key.
    Rejected,
    /// The caller went away first.
    Abandoned,
}

impl End {
    const COUNT: usize = 6;
}

impl SimLedger {
    pub(crate) fn new() -> Self {
        Self {
            prompts: std::array::from_fn(|_| Mutex::default()),
            ends: std::array::from_fn(|_| AtomicU64::new(0)),
            asked: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            peak_in_flight: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            outage_calls: AtomicU64::new(0),
            input_tokens: AtomicU64::new(0),
            output_tokens: AtomicU64::new(0),
            faults: Mutex::default(),
            pace: Mutex::default(),
        }
    }

    /// The counts now.
    pub fn report(&self) -> LedgerReport {
        let mut report = LedgerReport {
            asked: self.asked.load(Relaxed),
            answered: self.ended(End::Answered),
            spoiled: self.ended(End::Spoiled),
            failed: self.ended(End::Failed),
            rate_limited: self.ended(End::RateLimited),
            rejected: self.ended(End::Rejected),
            abandoned: self.ended(End::Abandoned),
            in_flight: self.in_flight.load(Relaxed),
            peak_in_flight: self.peak_in_flight.load(Relaxed),
            connections: self.connections.load(Relaxed),
            outage_calls: self.outage_calls.load(Relaxed),
            faults: lock(&self.faults).clone(),
            usage: Usage {
                input_tokens: self.input_tokens.load(Relaxed),
                output_tokens: self.output_tokens.load(Relaxed),
                ..Usage::default()
            },
            ..LedgerReport::default()
        };
        for shard in &self.prompts {
            let shard = lock(shard);
            report.distinct_prompts += shard.len() as u64;
            for (prompt, entry) in shard.iter().filter(|(_, entry)| entry.answered > 1) {
                report.repeated_prompts += 1;
                if report.repeated.len() < MOST_LISTED {
                    report.repeated.push(counted(prompt, entry));
                }
            }
        }
        let pace = lock(&self.pace);
        report.max_in_any_60s = pace.most_calls();
        report.max_tokens_in_any_60s = pace.most_tokens();
        report.calls_per_second = pace.calls_per_second();
        report
    }

    /// Every distinct prompt, in the order of the hashes.
    pub fn prompts(&self) -> Vec<PromptCount> {
        let mut prompts: Vec<PromptCount> = Vec::new();
        for shard in &self.prompts {
            prompts.extend(
                lock(shard)
                    .iter()
                    .map(|(prompt, entry)| counted(prompt, entry)),
            );
        }
        prompts.sort_unstable_by(|a, b| a.prompt.cmp(&b.prompt));
        prompts
    }

    /// Starts the books again. Attempts in flight stay so and end in the new books.
    pub fn reset(&self) {
        for shard in &self.prompts {
            lock(shard).clear();
        }
        let counts = [
            &self.asked,
            &self.connections,
            &self.outage_calls,
            &self.input_tokens,
            &self.output_tokens,
        ];
        for count in counts.into_iter().chain(&self.ends) {
            count.store(0, Relaxed);
        }
        self.peak_in_flight
            .store(self.in_flight.load(Relaxed), Relaxed);
        lock(&self.faults).clear();
        *lock(&self.pace) = Pace::default();
    }

    fn ended(&self, end: End) -> u64 {
        self.ends[end as usize].load(Relaxed)
    }

    fn entry(&self, prompt: &Fingerprint) -> &Mutex<HashMap<Fingerprint, Entry>> {
        &self.prompts[usize::from(prompt.as_bytes()[15]) % SHARDS]
    }

    /// Notes an attempt. Returns how often this prompt had been asked before, and the open attempt.
    pub(crate) fn asked(
        self: &Arc<Self>,
        prompt: Fingerprint,
        text: Option<&str>,
    ) -> (u64, Flight) {
        self.asked.fetch_add(1, Relaxed);
        let flying = self.in_flight.fetch_add(1, Relaxed) + 1;
        self.peak_in_flight.fetch_max(flying, Relaxed);
        let mut shard = lock(self.entry(&prompt));
        let entry = shard.entry(prompt).or_default();
        let before = entry.asked;
        entry.asked = before.saturating_add(1);
        if before == 0 {
            entry.text = text.map(|text| text[..text.floor_char_boundary(KEPT_BYTES)].into());
        }
        drop(shard);
        let flight = Flight {
            ledger: self.clone(),
            prompt,
            usage: Usage::default(),
            end: End::Abandoned,
            open: true,
        };
        (u64::from(before), flight)
    }

    /// Notes a request that never became an attempt: its key or its form was at fault.
    pub(crate) fn rejected(&self) {
        self.asked.fetch_add(1, Relaxed);
        self.ends[End::Rejected as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(crate) fn met_outage(&self) {
        self.outage_calls.fetch_add(1, Relaxed);
    }

    pub(crate) fn met(&self, fault: String) {
        *lock(&self.faults).entry(fault).or_default() += 1;
    }

    pub(crate) fn let_in(&self, now: Moment, tokens: u64) {
        lock(&self.pace).note(now, tokens);
    }
}

fn counted(prompt: &Fingerprint, entry: &Entry) -> PromptCount {
    PromptCount {
        prompt: prompt.to_string(),
        asked: entry.asked,
        answered: entry.answered,
        text: entry.text.as_deref().map(str::to_owned),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An attempt that has not ended. Dropped before its answer was handed over, it was abandoned by its caller.
#[derive(Debug)]
pub(crate) struct Flight {
    ledger: Arc<SimLedger>,
    prompt: Fingerprint,
    usage: Usage,
    end: End,
    open: bool,
}

impl Flight {
    /// What the answer uses, and how the attempt ends unless its caller goes away first.
    pub(crate) fn heads_for(&mut self, end: End, usage: Usage) {
        self.end = end;
        self.usage = usage;
    }

    /// Closes the attempt: the caller has all that it will get.
    pub(crate) fn finish(mut self) {
        self.close(self.end);
    }

    fn close(&mut self, end: End) {
        self.open = false;
        let ledger = &self.ledger;
        ledger.ends[end as usize].fetch_add(1, Relaxed);
        ledger.in_flight.fetch_sub(1, Relaxed);
        if end == End::Answered {
            ledger
                .input_tokens
                .fetch_add(self.usage.input_tokens, Relaxed);
            ledger
                .output_tokens
                .fetch_add(self.usage.output_tokens, Relaxed);
            let mut shard = lock(ledger.entry(&self.prompt));
            let entry = shard.entry(self.prompt).or_default();
            entry.answered = entry.answered.saturating_add(1);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.open {
            // a caller cannot spoil what was going to fail
            let end = if self.end == End::Answered {
                End::Abandoned
            } else {
                self.end
            };
            self.close(end);
        }
    }
}
