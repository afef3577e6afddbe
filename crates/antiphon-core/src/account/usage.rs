//! Tokens used by an answer, in one meaning for all providers.

use serde::{Deserialize, Serialize};

/// Tokens used. Details are part of their totals: cached tokens of the input, reasoning tokens of the output.
///
/// Anthropic counts cached tokens *beside* its input, OpenAI *inside*; dialects translate into the second form, so
/// that `input_tokens` is always everything the model read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Of the input: read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Of the output: thought, not shown.
    pub reasoning_tokens: u64,
    /// Of the input: written to the provider's cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
    /// Of the cache writes: with a life of an hour, which has a price of its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_1h_tokens: u64,
}

fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

impl Usage {
    /// Input and output together.
    pub fn total(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// The tokens beside these, which are part of them.
    pub(super) fn beyond(self, part: Self) -> Self {
        let less = u64::saturating_sub;
        Self {
            input_tokens: less(self.input_tokens, part.input_tokens),
            output_tokens: less(self.output_tokens, part.output_tokens),
            cached_input_tokens: less(self.cached_input_tokens, part.cached_input_tokens),
            reasoning_tokens: less(self.reasoning_tokens, part.reasoning_tokens),
            cache_write_tokens: less(self.cache_write_tokens, part.cache_write_tokens),
            cache_write_1h_tokens: less(self.cache_write_1h_tokens, part.cache_write_1h_tokens),
        }
    }

    /// The sum of what is known; `None` where nothing is known of any.
    pub fn sum(known: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        known.into_iter().flatten().reduce(|mut sum, more| {
            sum += more;
            sum
        })
    }

    /// Itself, or `None` where it counts nothing.
    pub fn if_any(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let add = u64::saturating_add;
        self.input_tokens = add(self.input_tokens, other.input_tokens);
        self.output_tokens = add(self.output_tokens, other.output_tokens);
        self.cached_input_tokens = add(self.cached_input_tokens, other.cached_input_tokens);
        self.reasoning_tokens = add(self.reasoning_tokens, other.reasoning_tokens);
        self.cache_write_tokens = add(self.cache_write_tokens, other.cache_write_tokens);
        self.cache_write_1h_tokens = add(self.cache_write_1h_tokens, other.cache_write_1h_tokens);
    }
}
