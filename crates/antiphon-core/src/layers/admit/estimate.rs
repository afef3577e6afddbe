//! What a request will use, guessed from its size and learned from the answers so far.
//!
//! **Output.** Tickets of calls in flight hold what answers are thought to use; every ticket is settled on the truth when its
//! call ends. So what matters is not whether one answer is longer than its ticket but whether all in flight together are.
//! Long answers are in flight for longer, so the mean of those in flight is not that of those that have ended; and their sum
//! strays from it by the square root of their number. Each ticket therefore takes the mean of those in flight, and a share of
//! the way to the high quantile that shrinks as more are in flight, and as more answers are known.
//!
//! **Input.** Bytes, times what bytes turned out to be worth. Before any answer has told that, a real tokenizer may count the
//! first requests; and where answers never tell, one request in so many bytes.

use std::time::Duration;

use super::{
    lengths::Lengths,
    quota::{MOST_TOKENS, Tokens},
};
use crate::{ChatRequest, Usage};

/// Bytes of text for a token of English, the usual rule of thumb (OpenAI's help page "What are tokens").
const BYTES_PER_TOKEN: f64 = 4.0;
/// Output that is assumed before the first answer has come.
const FIRST_OUTPUT: f64 = 256.0;
/// What an answer before counts in the ratio of input, for each one after it.
const REMEMBERED: f64 = 0.98;
/// Requests that are counted, or answers, after which the ratio is thought to be known.
const ENOUGH: u32 = 8;
/// Of so many bytes one is counted where answers do not tell their tokens. Counting costs 12 to 50 µs a KB, so this costs
/// less than 0.2 µs a KB.
const COUNTED_OF: u64 = 256;

/// Counts the tokens that a request sends, with the tokenizer of the account's model.
///
/// It may take milliseconds, the first time a tenth of a second, so it is called on threads for blocking work.
pub trait CountTokens: Send + Sync + std::fmt::Debug {
    /// Input tokens; `None` where the request holds something that cannot be counted, or no tokenizer is known.
    fn count(&self, request: &ChatRequest) -> Option<u64>;
}

/// What of a request matters for admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    /// Bytes of content.
    pub(super) bytes: usize,
    /// Input tokens, where they were counted.
    pub(super) counted: Option<u64>,
    /// The output cap over all choices, in tokens.
    pub(super) output_cap: Option<u64>,
    /// Tells calls apart: all attempts of a call have the same.
    pub(super) call: u64,
}

impl Demand {
    pub(super) fn of(request: &ChatRequest) -> Self {
        // attempts of a call share its conversation; another call that finds the same address later does no harm,
        // since only calls that overlap are told apart
        let address = std::sync::Arc::as_ptr(&request.messages) as usize as u64;
        Self {
            bytes: request.content_bytes(),
            counted: None,
            output_cap: crate::account::most_output_tokens(request),
            call: address
                .wrapping_add(u64::from(request.sample).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }

    fn guess(&self) -> f64 {
        self.bytes as f64 / BYTES_PER_TOKEN
    }
}

/// Learned from real usage; one for each account, since rows of an account resemble each other.
#[derive(Debug, Default)]
pub(super) struct Estimate {
    /// Guessed and real input tokens of requests so far, older ones counting less and less.
    guessed: f64,
    real: f64,
    /// Answers that have told their input, and requests that were to be counted, up to [`ENOUGH`].
    tried: u32,
    outputs: Lengths,
    /// Whether the newest answer did not tell its tokens.
    is_untold: bool,
    /// Bytes that were let out since the last request that was counted.
    uncounted_bytes: u64,
}

impl Estimate {
    /// What to reserve for a request, with so many others in flight.
    pub(super) fn tokens(&self, demand: &Demand, in_flight: u32) -> Tokens {
        let ratio = if self.guessed > 0.0 {
            self.real / self.guessed
        } else {
            1.0
        };
        let input = demand
            .counted
            .unwrap_or((demand.guess() * ratio).ceil() as u64);
        let output = self.output(in_flight).ceil() as u64;
        Tokens {
            input: input.min(MOST_TOKENS),
            output: output.min(demand.output_cap.unwrap_or(u64::MAX)),
        }
    }

    fn output(&self, in_flight: u32) -> f64 {
        let known = self.outputs.known() as f64;
        if known == 0.0 {
            return FIRST_OUTPUT;
        }
        let (mean, high) = (self.outputs.mean_in_flight(), self.outputs.high());
        let together = f64::from(in_flight) + 1.0;
        let share = (1.0 / together + 1.0 / known).sqrt().min(1.0);
        mean + (high - mean).max(0.0) * share
    }

    /// Whether to count a request with a real tokenizer: while nothing is known, and now and then where answers do not tell.
    pub(super) fn wants_count(&mut self, bytes: usize) -> bool {
        if self.tried < ENOUGH {
            // also where nothing can be counted it ends
            self.tried += 1;
            return true;
        }
        if !self.is_untold {
            return false;
        }
        let bytes = bytes as u64;
        self.uncounted_bytes = self.uncounted_bytes.saturating_add(bytes);
        let is_due = self.uncounted_bytes / COUNTED_OF >= bytes;
        if is_due {
            self.uncounted_bytes = 0;
        }
        is_due
    }

    /// An answer has come, so long after it was asked for. A provider that tells no tokens teaches nothing.
    pub(super) fn learn(&mut self, demand: &Demand, usage: Option<Usage>, lasted: Duration) {
        self.is_untold = usage.is_none();
        if let Some(usage) = usage {
            self.outputs
                .learn(usage.output_tokens.min(MOST_TOKENS), lasted);
            self.learn_input(demand, usage.input_tokens);
            self.tried = (self.tried + 1).min(ENOUGH);
        }
    }

    /// A request has been counted, by a tokenizer or by whoever answered it.
    pub(super) fn learn_input(&mut self, demand: &Demand, tokens: u64) {
        if demand.guess() >= 1.0 && tokens > 0 {
            self.guessed = self.guessed * REMEMBERED + demand.guess();
            self.real = self.real * REMEMBERED + tokens.min(MOST_TOKENS) as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(bytes: usize) -> Demand {
        Demand {
            bytes,
            counted: None,
            output_cap: None,
            call: 0,
        }
    }

    fn usage(input: u64) -> Option<Usage> {
        Some(Usage {
            input_tokens: input,
            ..Usage::default()
        })
    }

    #[test]
    fn the_first_requests_are_counted_and_teach_what_bytes_are_worth() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.tokens(&demand(4000), 0).input, 1000);
        let wanted = (0..100).filter(|_| estimate.wants_count(4000)).count();
        assert_eq!(wanted, ENOUGH as usize);
        estimate.learn_input(&demand(4000), 1500);
        assert_eq!(estimate.tokens(&demand(8000), 0).input, 3000);
        let counted = Demand {
            counted: Some(7),
            ..demand(8000)
        };
        assert_eq!(estimate.tokens(&counted, 0).input, 7);
    }

    #[test]
    fn nothing_is_counted_once_answers_tell() {
        let mut estimate = Estimate::default();
        (0..ENOUGH).for_each(|_| estimate.learn(&demand(40), usage(10), Duration::ZERO));
        assert!((0..10_000).all(|_| !estimate.wants_count(4000)));
    }

    #[test]
    fn a_small_part_of_the_bytes_is_counted_where_answers_never_tell() {
        let mut estimate = Estimate::default();
        assert!((0..ENOUGH).all(|_| estimate.wants_count(1)));
        estimate.learn(&demand(40), None, Duration::ZERO);
        let (mut all, mut counted, mut rows) = (0, 0, 0);
        for row in 0..100_000 {
            let bytes = [100, 100, 2000, 30][row % 4];
            all += bytes;
            if estimate.wants_count(bytes) {
                counted += bytes;
                rows += 1;
            }
        }
        assert!(rows > 300, "{rows}");
        assert!(counted * 200 < all, "{counted} of {all} bytes");
    }

    #[test]
    fn the_ratio_is_that_of_sums_and_not_swayed_by_small_requests() {
        let mut estimate = Estimate::default();
        for _ in 0..200 {
            // 10 tokens of overhead each
            estimate.learn(&demand(40), usage(10 + 10), Duration::ZERO);
            estimate.learn(&demand(40_000), usage(10_000 + 10), Duration::ZERO);
        }
        let input = estimate.tokens(&demand(40_000), 0).input;
        assert!((10_000..10_100).contains(&input), "{input}");
    }

    #[test]
    fn a_ticket_alone_takes_the_quantile_and_one_of_many_the_mean() {
        let mut estimate = Estimate::default();
        let answered = |output| Usage {
            output_tokens: output,
            ..Usage::default()
        };
        for row in 0..512 {
            let output = if row % 10 == 0 { 1000 } else { 100 };
            estimate.learn(&demand(40), Some(answered(output)), Duration::from_secs(1));
        }
        let output = |in_flight| estimate.tokens(&demand(40), in_flight).output;
        assert_eq!(output(0), 1000);
        assert!((190..260).contains(&output(1000)), "{}", output(1000));
        assert!(output(10) > output(100));
    }
}
