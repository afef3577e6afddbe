//! Models by their names.

use super::*;

fn name(provider: &str, model: &str) -> Option<String> {
    let catalog = Catalog::built_in();
    catalog
        .find(provider, model)
        .map(|entry| entry.model.clone())
}

#[test]
fn models_are_found_by_name_alias_and_snapshot_only() {
    for (provider, asked, found) in [
        ("openai", "gpt-4o-mini", "gpt-4o-mini"),
        ("openai", "GPT-4o-mini ", "gpt-4o-mini"),
        ("openai", "gpt-4o-mini-2099-01-01", "gpt-4o-mini"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "gpt-5-pro-2025-10-06", "gpt-5-pro"),
        ("openai", "gpt-5-chat-latest", "gpt-5"),
        ("openai", "gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("openai", "openai/gpt-5.2", "gpt-5.2"),
        ("anthropic", "claude-4-6-opus", "claude-opus-4-6"),
        (
            "anthropic",
            "claude-3-5-haiku-20241022",
            "claude-3-5-haiku-latest",
        ),
        (
            "anthropic",
            "claude-3-opus-20240229",
            "claude-3-opus-latest",
        ),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("anthropic", "claude-sonnet-4@20250514", "claude-sonnet-4-0"),
        (
            "anthropic",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "claude-sonnet-4-5",
        ),
        ("gemini", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini", "gemini-2.5-flash-latest", "gemini-2.5-flash"),
        ("mistral", "mistral-large-2512", "mistral-large-2512"),
        ("xai", "x-ai/grok-4-latest", "grok-4-0709"),
        ("cohere", "command-a-03-2025", "command-a"),
        ("groq", "openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("sim", "demo", "demo"),
        ("sim", "gpt-5-pro-2025-10-06", "gpt-5-pro"),
        ("sim", "claude-opus-5", "claude-opus-5"),
        ("sim", "groq/openai/gpt-oss-20b", "openai/gpt-oss-20b"),
    ] {
        assert_eq!(name(provider, asked).as_deref(), Some(found), "{asked}");
    }
    for (provider, asked) in [
        ("openai", "gpt-5-pro-max"),
        ("openai", "gpt-5.9"),
        ("openai", "gpt-4o-audio-preview"),
        // each search has a fee beside its tokens
        ("openai", "gpt-4o-mini-search-preview-2025-03-11"),
        ("openai", "claude-opus-5"),
        ("openai", "ft:gpt-4o-mini:org::id"),
        ("mistral", "mistral-large-2411"),
        ("local", "gpt-4o"),
        ("sim", "a"),
        ("openai", ""),
    ] {
        assert_eq!(name(provider, asked), None, "{asked}");
    }
}

#[test]
fn every_model_has_a_price_now_and_stands_under_its_own_names() {
    let catalog = Catalog::built_in();
    assert_eq!(catalog.models().len(), 101);
    for entry in catalog.models() {
        let called = format!("{}/{}", entry.provider, entry.model);
        for name in entry.names() {
            let found = catalog.find(&entry.provider, name).unwrap();
            assert!(Arc::ptr_eq(found, entry), "{name} of {called}");
            assert_eq!(name, name.to_lowercase());
        }
        // its maker does not serve it; hosts do, at their own prices
        let is_served = !called.starts_with("openai/gpt-oss");
        assert_eq!(
            entry.prices_at(moment(NOON)).is_some(),
            is_served,
            "{called}"
        );
        assert!(
            entry.is_retired(moment(NOON)) || entry.retires.is_none_or(|day| day > catalog.as_of())
        );
    }
    assert!(!catalog.is_old(moment("2026-12-20T00:00:00Z")));
    assert!(catalog.is_old(moment("2026-12-20T00:00:01Z")));
}
