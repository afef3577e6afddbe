//! What a request will cost, guessed from its size and learned from the answers so far.

use super::quota::{MOST_TOKENS, Tokens};
use crate::{ChatRequest, Usage};

/// Bytes of text for a token of English, the usual rule of thumb (OpenAI's help page "What are tokens").
const BYTES_PER_TOKEN: f64 = 4.0;
/// Output that is assumed before the first answer has come.
const FIRST_OUTPUT: f64 = 256.0;
/// The newest answer weighs at least this much, so that a job whose rows change is followed.
const LEAST_WEIGHT: f64 = 0.02;

/// What of a request matters for admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    /// Bytes of content.
    pub(super) bytes: usize,
    /// The output cap, in tokens.
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
            output_cap: request.max_output_tokens(),
            call: address
                .wrapping_add(u64::from(request.sample).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }
}

/// Learned from real usage; one for each account, since rows of an account resemble each other.
#[derive(Debug)]
pub(super) struct Estimate {
    /// Real input tokens for each guessed one.
    input_ratio: f64,
    output_mean: f64,
    answers: f64,
}

impl Estimate {
    pub(super) fn new() -> Self {
        Self {
            input_ratio: 1.0,
            output_mean: FIRST_OUTPUT,
            answers: 0.0,
        }
    }

    pub(super) fn tokens(&self, demand: &Demand) -> Tokens {
        let guess = demand.bytes as f64 / BYTES_PER_TOKEN;
        let output = self.output_mean.ceil() as u64;
        Tokens {
            input: ((guess * self.input_ratio).ceil() as u64).min(MOST_TOKENS),
            output: output.min(demand.output_cap.unwrap_or(u64::MAX)),
        }
    }

    /// A running mean over the first answers, then an exponentially weighted one.
    pub(super) fn learn(&mut self, demand: &Demand, usage: Usage) {
        self.answers += 1.0;
        let weight = (1.0 / self.answers).max(LEAST_WEIGHT);
        let output = usage.output_tokens.min(MOST_TOKENS) as f64;
        self.output_mean += weight * (output - self.output_mean);
        let guess = demand.bytes as f64 / BYTES_PER_TOKEN;
        if guess >= 1.0 && usage.input_tokens > 0 {
            let ratio = usage.input_tokens.min(MOST_TOKENS) as f64 / guess;
            self.input_ratio += weight * (ratio - self.input_ratio);
        }
    }
}
