//! Names and meanings of the metrics of series and accounts, as tables.

use std::sync::atomic::AtomicU64;

use antiphon::core::layers::admit::EndpointState;

use super::{
    page::AccountNow,
    series::{Bounds, Series},
};

/// Whole numbers of a series: name without `_total`, what it says, where it stands.
pub(super) type Count = (&'static str, &'static str, fn(&Series) -> &AtomicU64);

pub(super) const COUNTS: [Count; 10] = [
    (
        "antiphon_cached_answers",
        "Calls answered from the response cache",
        |series| &series.cached,
    ),
    (
        "antiphon_attempts",
        "Attempts on the wire that calls have made",
        |series| &series.attempts,
    ),
    (
        "antiphon_input_tokens",
        "Tokens read by models, cached ones included",
        |series| &series.input_tokens,
    ),
    (
        "antiphon_cached_input_tokens",
        "Of the input tokens: read from a provider's cache",
        |series| &series.cached_input_tokens,
    ),
    (
        "antiphon_cache_write_tokens",
        "Of the input tokens: written to a provider's cache",
        |series| &series.cache_write_tokens,
    ),
    (
        "antiphon_output_tokens",
        "Tokens written by models, reasoning included",
        |series| &series.output_tokens,
    ),
    (
        "antiphon_reasoning_tokens",
        "Of the output tokens: thought and not shown",
        |series| &series.reasoning_tokens,
    ),
    (
        "antiphon_unpriced_answers",
        "Answers whose cost is not known, and is not in the cost",
        |series| &series.unpriced,
    ),
    (
        "antiphon_lost_attempts",
        "Attempts that were sent and whose end is not known: they may have been billed",
        |series| &series.lost,
    ),
    (
        "antiphon_unestimated_answers",
        "Answers whose energy and carbon are not known, and are not in their sums",
        |series| &series.unestimated,
    ),
];

/// Ranges: name without `_total`, what it says, where it stands, and how many of its units are one of the metric's.
pub(super) type Range = (&'static str, &'static str, fn(&Series) -> &Bounds, f64);

pub(super) const RANGES: [Range; 2] = [
    (
        "antiphon_carbon_gco2e",
        "Carbon of answers, grams of CO2 equivalent, at least (min) and at most (max); estimated",
        |series| &series.carbon_micrograms,
        1e6,
    ),
    (
        "antiphon_energy_joules",
        "Energy of answers at least (min) and at most (max); estimated",
        |series| &series.energy_microjoules,
        1e6,
    ),
];

/// Gauges of accounts.
pub(super) type Gauge = (&'static str, &'static str, fn(&AccountNow) -> Option<i64>);

pub(super) const ACCOUNT_GAUGES: [Gauge; 9] = [
    (
        "antiphon_account_in_flight",
        "Calls that an account has on the wire, or answered and not yet told",
        |account| Some(account.now.in_flight.into()),
    ),
    (
        "antiphon_account_waiting",
        "Calls that wait for a limit of an account",
        |account| i64::try_from(account.now.waiting).ok(),
    ),
    (
        "antiphon_account_concurrency_limit",
        "Calls that an account may have in flight now, as was found",
        |account| Some(account.now.limit.into()),
    ),
    (
        "antiphon_account_requests_per_minute",
        "Limit of an account, named or told by its provider",
        |account| whole(account.quota.rpm),
    ),
    (
        "antiphon_account_tokens_per_minute",
        "Limit of an account, named or told by its provider",
        |account| whole(account.quota.tpm),
    ),
    (
        "antiphon_account_input_tokens_per_minute",
        "Limit of an account, named or told by its provider",
        |account| whole(account.quota.itpm),
    ),
    (
        "antiphon_account_output_tokens_per_minute",
        "Limit of an account, named or told by its provider",
        |account| whole(account.quota.otpm),
    ),
    (
        "antiphon_account_up",
        "Whether the endpoint of an account answers, as far as is known",
        |account| Some((account.now.endpoint == EndpointState::Up).into()),
    ),
    (
        "antiphon_account_paused",
        "Whether a provider has asked for a pause that goes on",
        |account| Some(account.now.paused_until.is_some().into()),
    ),
];

fn whole(limit: Option<u64>) -> Option<i64> {
    limit.and_then(|limit| i64::try_from(limit).ok())
}
