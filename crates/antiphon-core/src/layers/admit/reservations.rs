//! How well reservations fit, against a simulated provider that charges each call with its real tokens when it arrives.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    admission::{Admission, Grant},
    config::AccountConfig,
    estimate::Demand,
    quota::QuotaConfig,
};
use crate::{Dice, Error, ErrorKind, Moment, Usage};

const MINUTE: Duration = Duration::from_secs(60);

/// How long the answers of a job are.
#[derive(Clone, Copy, Debug)]
enum Job {
    /// All alike.
    Even,
    /// Most are short, a few long: exponentially distributed.
    Skewed,
    /// Alike for two minutes, then four times as long.
    Changing,
}

impl Job {
    fn output(self, dice: &Dice, now: Moment) -> u64 {
        let tokens = match self {
            Self::Even => 400.0 + 200.0 * dice.unit(),
            Self::Skewed => -500.0 * (1.0 - dice.unit()).ln(),
            Self::Changing if now.since_start() < 2 * MINUTE => 200.0 + 100.0 * dice.unit(),
            Self::Changing => 800.0 + 400.0 * dice.unit(),
        };
        tokens as u64 + 1
    }
}

/// What was in the provider's books at the end.
#[derive(Debug)]
struct Books {
    asked: u64,
    refused: u64,
    /// The share of the limit that calls have used in the busiest minute.
    busiest: f64,
}

/// The provider: a limit in any 60 s.
#[derive(Default)]
struct Provider {
    limit: u64,
    minute: VecDeque<(Moment, u64)>,
    in_minute: u64,
    busiest: u64,
}

impl Provider {
    /// Lets a call in, or says when to come again.
    fn meet(&mut self, now: Moment, tokens: u64) -> Result<(), Duration> {
        while let Some(&(moment, used)) = self.minute.front()
            && now.since(moment) >= MINUTE
        {
            self.minute.pop_front();
            self.in_minute -= used;
        }
        if self.in_minute > 0 && self.in_minute + tokens > self.limit {
            let oldest = self.minute.front().map_or(now, |(moment, _)| *moment);
            return Err((oldest + MINUTE).since(now));
        }
        self.minute.push_back((now, tokens));
        self.in_minute += tokens;
        self.busiest = self.busiest.max(self.in_minute);
        Ok(())
    }
}

/// Five minutes of a job of equal questions, with the answers' first 500 ms and 20 ms for each token.
fn run(job: Job, tpm: u64, seed: u64) -> Books {
    let dice = Dice::seeded(seed);
    let quota = QuotaConfig {
        tpm: Some(tpm),
        ..QuotaConfig::default()
    };
    let mut admission = Admission::new(&AccountConfig {
        quota,
        concurrency: std::num::NonZeroU32::new(2000),
        ..AccountConfig::default()
    });
    let mut provider = Provider {
        limit: tpm,
        ..Provider::default()
    };
    let (mut now, end) = (Moment::ZERO, Moment::after_start(5 * MINUTE));
    let (mut asked, mut refused, mut next_call) = (0, 0, 0);
    let mut out: BTreeMap<(Moment, u64), (Grant, Usage)> = BTreeMap::new();
    while now < end {
        while admission.snapshot(now).waiting < 4 {
            admission.join(demand(next_call), next_call);
            next_call += 1;
        }
        let mut decided = Vec::new();
        let alarm = admission.poll(now, &mut decided);
        let none_decided = decided.is_empty();
        for (call, grant) in decided {
            let grant = grant.expect("nothing is given up");
            asked += 1;
            let usage = Usage {
                input_tokens: 300,
                output_tokens: job.output(&dice, now),
                ..Usage::default()
            };
            match provider.meet(now, usage.total()) {
                Ok(()) => {
                    let lasts = Duration::from_millis(500 + 20 * usage.output_tokens);
                    out.insert((now + lasts, call), (grant, usage));
                }
                Err(wait) => {
                    refused += 1;
                    let error = Error::new(ErrorKind::RateLimited, "x");
                    admission.free();
                    admission.failed(grant, &error.with_retry_after(Some(wait)), now, 0.5);
                    admission.join(demand(call), call);
                }
            }
        }
        if none_decided {
            let ends = out.first_key_value().map(|((moment, _), _)| *moment);
            now = [ends, alarm].into_iter().flatten().min().expect("an event");
        }
        while let Some(entry) = out.first_entry()
            && entry.key().0 <= now
        {
            let (grant, usage) = entry.remove();
            admission.succeeded(&grant);
            admission.ended(grant, Some(usage), now);
            admission.free();
        }
    }
    Books {
        asked,
        refused,
        busiest: provider.busiest as f64 / tpm as f64,
    }
}

fn demand(call: u64) -> Demand {
    Demand {
        bytes: 1200,
        counted: None,
        output_cap: None,
        call,
    }
}

/// The table of docs/performance.md, "Reservations".
#[test]
#[expect(clippy::print_stdout, reason = "the table is for people")]
fn reservations_fit() {
    for (job, tpm, least_use) in [
        (Job::Even, 200_000, 0.99),
        (Job::Even, 2_000_000, 0.99),
        (Job::Skewed, 200_000, 0.98),
        (Job::Skewed, 2_000_000, 0.96),
        (Job::Changing, 200_000, 0.99),
        (Job::Changing, 2_000_000, 0.99),
    ] {
        let books: Vec<Books> = (0..5).map(|seed| run(job, tpm, seed)).collect();
        let sum = |count: fn(&Books) -> u64| books.iter().map(count).sum::<u64>();
        let (asked, refused) = (sum(|books| books.asked), sum(|books| books.refused));
        let busiest = books.iter().map(|books| books.busiest).sum::<f64>() / 5.0;
        println!(
            "{job:?}, {tpm}: {:.3} % of {asked} calls refused, {:.1} % of the limit used in the busiest minute",
            refused as f64 / asked as f64 * 100.0,
            busiest * 100.0
        );
        assert!(busiest >= least_use, "{job:?}, {tpm}: {busiest}");
        match job {
            Job::Even => assert_eq!(refused, 0, "{tpm}"),
            // lengths that nobody has seen before meet the limit once, for a few calls
            _ => assert!(
                refused * 50 <= asked,
                "{job:?}, {tpm}: {refused} of {asked}"
            ),
        }
    }
}
