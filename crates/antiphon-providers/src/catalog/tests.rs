//! The built-in catalogue, asked for prices.

mod finding;
mod users;

use antiphon_core::account::{Billed, Usage, Worst};

use super::*;

const NOON: &str = "2026-11-20T12:00:00Z";

fn moment(text: &str) -> SystemTime {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

fn tokens(input: u64, cached: u64, written: u64, output: u64) -> Usage {
    Usage {
        input_tokens: input,
        cached_input_tokens: cached,
        cache_write_tokens: written,
        output_tokens: output,
        ..Usage::default()
    }
}

fn billed<'a>(reported: Option<&'a str>, usage: Usage, sent: &str) -> Billed<'a> {
    Billed {
        reported,
        service_tier: None,
        usage,
        sent: moment(sent),
        latency: Duration::from_secs(1),
    }
}

#[test]
fn the_worked_examples_of_the_source_come_out_exactly() {
    let catalog = Catalog::built_in();
    for (provider, model, [input, cached, written, output], is_batch, dollars) in [
        (
            "openai",
            "gpt-4o-mini",
            [1_000, 0, 0, 500],
            false,
            "0.00045",
        ),
        (
            "openai",
            "gpt-4o-mini",
            [1_000, 400, 0, 500],
            false,
            "0.00042",
        ),
        (
            "openai",
            "gpt-4o-mini",
            [1_000, 0, 0, 500],
            true,
            "0.000225",
        ),
        (
            "openai",
            "gpt-6-sol",
            [272_000, 0, 0, 1_000],
            false,
            "0.554",
        ),
        (
            "openai",
            "gpt-6-sol",
            [272_001, 0, 0, 1_000],
            false,
            "1.103004",
        ),
        (
            "openai",
            "gpt-6-sol",
            [300_000, 100_000, 0, 1_000],
            false,
            "0.855",
        ),
        (
            "openai",
            "gpt-6-sol",
            [5_000, 1_000, 3_000, 200],
            false,
            "0.0117",
        ),
        ("openai", "gpt-5.4", [300_000, 0, 0, 1_000], true, "0.76125"),
        (
            "anthropic",
            "claude-sonnet-4-5",
            [13_000, 10_000, 2_000, 500],
            false,
            "0.021",
        ),
        (
            "anthropic",
            "claude-opus-5",
            [1_000, 0, 0, 500],
            true,
            "0.00875",
        ),
        (
            "anthropic",
            "claude-haiku-5-5",
            [100_000, 0, 0, 1_000],
            false,
            "0.0105",
        ),
        (
            "anthropic",
            "claude-haiku-5-5",
            [100_001, 0, 0, 1_000],
            false,
            "0.0525005",
        ),
        (
            "gemini",
            "gemini-2.5-pro",
            [200_000, 0, 0, 1_000],
            false,
            "0.26",
        ),
        (
            "gemini",
            "gemini-2.5-pro",
            [250_000, 0, 0, 1_000],
            false,
            "0.64",
        ),
        (
            "gemini",
            "gemini-2.5-flash",
            [1_000, 600, 0, 800],
            true,
            "0.001078",
        ),
        (
            "mistral",
            "mistral-small-latest",
            [1_000, 0, 0, 500],
            false,
            "0.00045",
        ),
        (
            "deepseek",
            "deepseek-v4-flash",
            [1_000, 0, 0, 500],
            false,
            "0.00045",
        ),
        ("xai", "grok-4.3", [1_000, 0, 0, 500], true, "0.002"),
    ] {
        let usage = tokens(input, cached, written, output);
        let cost = match is_batch {
            true => {
                let entry = catalog.find(provider, model).unwrap();
                entry.list.batch_cost(&usage, moment(NOON))
            }
            false => catalog
                .rates(provider, model, None)
                .cost(&billed(None, usage, NOON)),
        };
        assert_eq!(cost.unwrap().to_string(), dollars, "{model} {usage:?}");
    }
}

#[test]
fn a_price_is_that_of_the_day_and_hour() {
    let catalog = Catalog::built_in();
    let cost = |provider, model, sent| {
        let usage = tokens(1_000_000, 0, 0, 0);
        let cost = catalog
            .rates(provider, model, None)
            .cost(&billed(None, usage, sent));
        cost.unwrap().to_string()
    };
    let argon = |sent| cost("gemini", "gemini-4-argon", sent);
    assert_eq!(argon("2026-11-30T23:59:59Z"), "2");
    assert_eq!(argon("2026-12-01T00:00:00Z"), "4");
    let flash = |sent| cost("deepseek", "deepseek-v4-flash", sent);
    assert_eq!(flash("2026-11-20T05:00:00Z"), "0.15");
    assert_eq!(flash("2026-11-20T06:00:00Z"), "0.3");
    assert_eq!(flash("2026-11-20T10:00:00Z"), "0.15");
    // of the price through the batch API after the change nothing is known
    let entry = catalog.find("gemini", "gemini-4-argon").unwrap();
    let later = moment("2026-12-01T00:00:00Z");
    assert_eq!(entry.list.batch_cost(&tokens(1, 0, 0, 0), later), None);
}

#[test]
fn an_answer_costs_what_the_model_does_that_it_names() {
    let catalog = Catalog::built_in();
    let rates = catalog.rates("openai", "gpt-4o", None);
    let cost = |reported| {
        let cost = rates.cost(&billed(reported, tokens(1_000_000, 0, 0, 0), NOON));
        cost.map(|cost| cost.to_string())
    };
    assert_eq!(cost(Some("gpt-4o-2024-05-13")).as_deref(), Some("5"));
    assert_eq!(cost(Some("gpt-4o-2024-05-13")).as_deref(), Some("5"));
    assert_eq!(cost(Some("gpt-4o-2024-08-06")).as_deref(), Some("2.5"));
    assert_eq!(cost(Some("something-else")).as_deref(), Some("2.5"));
    assert_eq!(cost(None).as_deref(), Some("2.5"));
    let flex = Billed {
        service_tier: Some("flex"),
        ..billed(None, tokens(1, 0, 0, 0), NOON)
    };
    assert_eq!(rates.cost(&flex), None, "another tier has another price");
    let unknown = catalog.rates("openai", "my-model", None);
    assert_eq!(unknown.cost(&billed(None, tokens(1, 0, 0, 0), NOON)), None);
}

#[test]
fn the_worst_case_is_bounded_by_the_window_or_not_at_all() {
    let catalog = Catalog::built_in();
    let most = |provider, model, input_tokens| {
        let worst = Worst {
            input_tokens,
            output_tokens: 100,
            now: moment(NOON),
            within: Duration::from_secs(60),
        };
        let most = catalog.rates(provider, model, None).most(&worst);
        most.map(|most| most.to_string())
    };
    assert_eq!(
        most("openai", "gpt-4o-mini", Some(1_000)).as_deref(),
        Some("0.00021")
    );
    assert_eq!(
        most("openai", "gpt-4o-mini", None).as_deref(),
        Some("0.01926")
    );
    assert_eq!(
        most("anthropic", "claude-opus-5", Some(1_000)).as_deref(),
        Some("0.0125")
    );
    assert_eq!(most("gemini", "gemini-2.5-pro", None), None);
    assert_eq!(most("anthropic", "claude-sonnet-4-5", None), None);
    assert_eq!(most("sim", "demo", None).as_deref(), Some("0"));
    assert_eq!(most("local", "qwen", Some(1)), None);
}
