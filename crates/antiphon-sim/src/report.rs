//! The ledger as others read it.

use std::collections::BTreeMap;

use antiphon_core::Usage;
use serde::Serialize;

/// One distinct prompt: a request up to what does not change its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromptCount {
    /// Its 128-bit hash, in hexadecimal.
    pub prompt: String,
    /// Attempts, refused and failed ones included.
    pub asked: u32,
    /// Whole answers handed over.
    pub answered: u32,
    /// Its beginning, where the provider was told to keep prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The ledger at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LedgerReport {
    /// Different prompts seen.
    pub distinct_prompts: u64,
    /// Attempts that could be read as requests for an answer.
    pub asked: u64,
    /// Whole answers handed over.
    pub answered: u64,
    /// Answers made and then broken by a fault: the tokens were spent, the caller has nothing.
    pub spoiled: u64,
    /// Injected failures without an answer.
    pub failed: u64,
    /// Attempts refused by the limits.
    pub rate_limited: u64,
    /// Attempts refused for the request itself or its key.
    pub rejected: u64,
    /// Attempts whose caller went away before the end.
    pub abandoned: u64,
    /// How many prompts were answered more than once.
    pub repeated_prompts: u64,
    /// Some of the prompts that were answered more than once.
    pub repeated: Vec<PromptCount>,
    /// Attempts that have not ended.
    pub in_flight: u64,
    /// The most attempts in flight at once.
    pub peak_in_flight: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Calls that met an outage: they are in no other count.
    pub outage_calls: u64,
    /// Injected faults and variations by kind.
    pub faults: BTreeMap<String, u64>,
    /// The most attempts let in by the limits in any 60 seconds.
    pub max_in_any_60s: u64,
    /// The most tokens let in by the limits in any 60 seconds.
    pub max_tokens_in_any_60s: u64,
    /// Attempts let in during each of the last seconds, the latest one last.
    pub calls_per_second: Vec<u32>,
    /// Tokens of all whole answers.
    pub usage: Usage,
}
