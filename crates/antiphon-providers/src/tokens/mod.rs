//! Counting the tokens of a request before it is sent.
//!
//! **Exact** where the vocabulary is public and the template documented: OpenAI's chat models, for requests of text. The
//! simulator has a rule of its own, which is followed exactly too.
//!
//! **An estimate with bounds** elsewhere: a text has about as many tokens in one large vocabulary as in another, so `o200k` stands
//! in for those that are not public; how far they differ is measured in `spread.rs`. What comes back after the first answers
//! is better than any estimate, and whoever has it should use it.
//!
//! **Not counted** is what has no documented size here: images, audio, files. A [`Count`] says how many such parts there were.

mod encoding;
mod parts;
mod simulated;
mod spread;

use std::{
    num::NonZeroUsize,
    ops::AddAssign,
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_core::{ChatRequest, Schema, layers::admit::CountTokens};
use serde_json::{Map, Value};

pub use encoding::Encoding;
use parts::Pieces;

/// Input tokens of a request, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The best guess; without what is in `unknown_parts`.
    pub tokens: u64,
    /// At least.
    pub low: u64,
    /// At most, apart from `unknown_parts`.
    pub high: u64,
    /// Parts without a documented size (images, audio, files): nothing is known of their tokens.
    pub unknown_parts: u64,
}

impl Count {
    /// Whether the number is that of the provider: nothing is guessed and nothing left out.
    pub fn is_exact(&self) -> bool {
        self.low == self.high && self.unknown_parts == 0
    }

    fn exactly(tokens: u64) -> Self {
        Self {
            tokens,
            low: tokens,
            high: tokens,
            unknown_parts: 0,
        }
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.low = self.low.saturating_add(other.low);
        self.high = self.high.saturating_add(other.high);
        self.unknown_parts = self.unknown_parts.saturating_add(other.unknown_parts);
    }
}

/// How a model's tokens are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The simulator's own.
    Simulated,
    /// A known vocabulary; whether the tokens that the template adds are documented.
    Known(Encoding, bool),
    /// A vocabulary that is not public.
    Unknown,
}

/// Counts the input tokens of requests to one model. To be called on threads for blocking work: it costs 12 to 50 µs a
/// KB, and the first call a tenth of a second.
#[derive(Debug)]
pub struct Counter {
    rule: Rule,
    /// What many requests share, counted once.
    shared: Mutex<Shared>,
}

/// What rows of a job have in common, with its count.
#[derive(Debug, Default)]
struct Shared {
    settings: Option<Settings>,
    system: Option<(String, Count)>,
}

/// Parameters and schema. Both are held, so that their addresses tell whether others are the same.
#[derive(Debug)]
struct Settings {
    params: Arc<Map<String, Value>>,
    schema: Option<Schema>,
    count: Count,
}

impl Settings {
    fn are_those_of(&self, request: &ChatRequest) -> bool {
        let is_same_schema = match (&self.schema, &request.schema) {
            (None, None) => true,
            (Some(one), Some(other)) => std::ptr::eq(one.json(), other.json()),
            _ => false,
        };
        is_same_schema && Arc::ptr_eq(&self.params, &request.params)
    }
}

impl Counter {
    /// The counter for a model, by Antiphon's name of the provider and the model's name there.
    pub fn for_model(provider: &str, model: &str) -> Self {
        let rule = match (provider, Encoding::of_model(model)) {
            ("sim", _) => Rule::Simulated,
            (_, Some(encoding)) => Rule::Known(encoding, parts::has_known_template(model)),
            (_, None) => Rule::Unknown,
        };
        Self {
            rule,
            shared: Mutex::default(),
        }
    }

    /// Whether plain text is counted exactly; else every count is an estimate with bounds.
    pub fn is_exact_for_text(&self) -> bool {
        matches!(self.rule, Rule::Simulated | Rule::Known(_, true))
    }

    /// Input tokens of a request.
    pub fn count(&self, request: &ChatRequest) -> Count {
        if self.rule == Rule::Simulated {
            return Count::exactly(simulated::tokens(request));
        }
        let mut sum = self.settings(request);
        for message in request.messages.iter() {
            match parts::system_text(message) {
                Some(text) => sum += self.system(text, message),
                None => sum += self.pieces(&Pieces::of_message(message)),
            }
        }
        sum
    }

    /// The sum over many requests, on so many threads besides this one's waiting. The iterator is read on those threads, one
    /// item at a time.
    pub fn count_all(
        &self,
        requests: impl Iterator<Item = ChatRequest> + Send,
        threads: NonZeroUsize,
    ) -> Count {
        let requests = Mutex::new(requests.fuse());
        let next = || {
            let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.next()
        };
        let work = || {
            let mut sum = Count::default();
            while let Some(request) = next() {
                sum += self.count(&request);
            }
            sum
        };
        let mut sum = Count::default();
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.get()).map(|_| scope.spawn(work)).collect();
            sum += work();
            for other in others {
                match other.join() {
                    Ok(counted) => sum += counted,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        sum
    }

    fn pieces(&self, pieces: &Pieces<'_>) -> Count {
        match self.rule {
            Rule::Known(encoding, is_documented) => pieces.count(encoding, is_documented),
            Rule::Unknown | Rule::Simulated => spread::count(pieces),
        }
    }

    /// Tokens of a system message, of which the last one is remembered: rows of a job have the same.
    fn system(&self, text: &str, message: &antiphon_core::Message) -> Count {
        let is_same = |known: &&(String, Count)| known.0 == text;
        if let Some((_, count)) = self.shared().system.as_ref().filter(is_same) {
            return *count;
        }
        let count = self.pieces(&Pieces::of_message(message));
        self.shared().system = Some((text.to_owned(), count));
        count
    }

    /// Tokens of parameters and schema, which rows of a job share.
    fn settings(&self, request: &ChatRequest) -> Count {
        let is_same = |known: &&Settings| known.are_those_of(request);
        if let Some(known) = self.shared().settings.as_ref().filter(is_same) {
            return known.count;
        }
        let count = self.pieces(&Pieces::of_settings(request));
        self.shared().settings = Some(Settings {
            params: Arc::clone(&request.params),
            schema: request.schema.clone(),
            count,
        });
        count
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For admission any good guess will do; requests with parts of unknown size are left to what answers tell.
impl CountTokens for Counter {
    fn count(&self, request: &ChatRequest) -> Option<u64> {
        let count = Self::count(self, request);
        (count.unknown_parts == 0).then_some(count.tokens)
    }
}

#[cfg(test)]
mod tests;
