//! Catalogues and values of the user's.

use antiphon_core::account::{Usd, price::Prices};

use super::*;

#[test]
fn a_bad_file_is_refused_and_says_which_model() {
    let file = |models: &str| {
        let text = format!(r#"{{"schema": 1, "as_of": "2026-11-20", "models": [{models}]}}"#);
        Catalog::parse(&text, "my.json")
    };
    let priced = |prices: &str| {
        let model = r#"{"provider": "p", "model": "m", "prices": [{"usd_per_mtok": "#;
        file(&format!("{model}{prices}}}]}}"))
            .map(drop)
            .unwrap_err()
            .0
    };
    assert_eq!(
        priced(r#"{"input": -1, "output": 2}"#),
        "my.json: model 1, p/m: -1 is no price: it is negative"
    );
    assert!(priced(r#"{"input": 0.0000001, "output": 2}"#).contains("more than 6"));
    assert!(priced(r#"{"input": 1e999, "output": 2}"#).contains("number out of range"));
    assert!(priced(r#"{"input": "1", "output": 2}"#).contains("expected f64"));
    assert!(priced(r#"{"input": 1}"#).contains("price of output is missing"));
    assert!(priced(r#"{"inptu": 1, "output": 2}"#).contains("inptu"));
    let twice = file(
        r#"{"provider": "p", "model": "a"}, {"provider": "p", "model": "b", "aliases": ["A"]}"#,
    );
    assert_eq!(
        twice.unwrap_err().0,
        r#"my.json: model 2, p/b: "A" is a name of a too"#
    );
    assert!(
        file(r#"{"provider": "p"}"#)
            .unwrap_err()
            .0
            .contains("missing field `model`")
    );
    let hours = r#"{"provider": "p", "model": "m", "prices": [{"hours": ["9", "10:00"], "usd_per_mtok": {"input": 1, "output": 1}}]}"#;
    assert!(
        file(hours)
            .unwrap_err()
            .0
            .contains(r#""9" is no time of day"#)
    );
    let day = r#"{"provider": "p", "model": "m", "retires": "2026-02-30"}"#;
    assert!(file(day).unwrap_err().0.contains("is no day"));
    let newer = Catalog::parse(r#"{"schema": 2, "models": {}}"#, "f").unwrap_err();
    assert_eq!(newer.0, "f: schema 2 is not known; this is 1");
    assert!(Catalog::parse("[", "f").unwrap_err().0.contains("not JSON"));
}

fn dollars(text: &str) -> Prices {
    serde_json::from_str(text).unwrap()
}

fn over(name: &str, prices: &str) -> Override {
    let (provider, model) = name.split_once('/').unwrap();
    Override {
        provider: provider.to_owned(),
        model: model.to_owned(),
        place: "antiphon.toml:3".to_owned(),
        prices: dollars(prices),
        ..Override::default()
    }
}

#[test]
fn values_of_the_user_win_one_by_one() {
    let catalog = Catalog::built_in();
    let renamed = Override {
        like: Some("openai/gpt-4o-2024-11-20".to_owned()),
        context_window: Some(7),
        ..over("azure/Ours", "{}")
    };
    let alias = Override {
        aliases: vec!["gpt-5-codex".to_owned()],
        ..over("openai/gpt-5-mini", "{}")
    };
    let catalog = Arc::new(
        catalog
            .with_overrides([
                over("openai/gpt-4o-mini", r#"{"input": 0.1}"#),
                over("openai/gpt-4o-2024-08-06", r#"{"output": 1}"#),
                over("openai/gpt-5.4", r#"{"input": 9}"#),
                over("local/qwen", r#"{"input": 0, "output": 0}"#),
                renamed,
                alias,
            ])
            .unwrap(),
    );
    let cost = |provider: &str, model, reported, usage| {
        let cost = catalog
            .rates(provider, model, None)
            .cost(&billed(reported, usage, NOON));
        cost.map(|cost| cost.to_string())
    };
    let million = |input: u64, output: u64| tokens(input * 1_000_000, 0, 0, output * 1_000_000);
    let is = |told: Option<String>, expected: &str| assert_eq!(told.as_deref(), Some(expected));
    is(
        cost(
            "openai",
            "gpt-4o-mini",
            Some("gpt-4o-mini-2024-07-18"),
            million(1, 1),
        ),
        "0.7",
    );
    is(
        cost(
            "openai",
            "gpt-4o-mini",
            None,
            tokens(1_000_000, 1_000_000, 0, 0),
        ),
        "0.075",
    );
    is(
        cost("openai", "gpt-4o", Some("gpt-4o-2024-08-06"), million(1, 1)),
        "3.5",
    );
    is(
        cost("openai", "gpt-4o", Some("gpt-4o-2024-11-20"), million(1, 1)),
        "12.5",
    );
    is(cost("openai", "gpt-5.4", None, million(1, 0)), "9");
    is(cost("local", "qwen", Some("qwen-7b"), million(1, 1)), "0");
    is(cost("azure", "ours", None, million(1, 1)), "12.5");
    assert_eq!(
        catalog.find("azure", "ours").unwrap().context_window,
        Some(7)
    );
    assert_eq!(
        catalog.find("openai", "gpt-5-codex").unwrap().model,
        "gpt-5-mini"
    );
    assert!(
        !catalog
            .find("openai", "gpt-5")
            .unwrap()
            .aliases
            .contains(&"gpt-5-codex".to_owned())
    );
    let fails = |one: Override| Catalog::built_in().with_overrides([one]).unwrap_err().0;
    assert_eq!(
        fails(over("local/qwen", r#"{"input": 1}"#)),
        "antiphon.toml:3: local/qwen: the price of output is missing"
    );
    let like = Override {
        like: Some("gpt-4o".to_owned()),
        ..over("a/b", "{}")
    };
    assert!(fails(like).contains(r#"no model is known as "gpt-4o""#));
}

#[test]
fn a_price_of_the_users_holds_for_what_was_asked_for() {
    let own = over("mistral/mistral-medium-latest", r#"{"input": 1}"#);
    let catalog = Arc::new(Catalog::built_in().with_overrides([own]).unwrap());
    let rates = catalog.rates("mistral", "mistral-medium-latest", None);
    let used = tokens(1_000_000, 0, 0, 0);
    let cost = rates.cost(&billed(Some("mistral-medium-2604"), used, NOON));
    assert_eq!(cost.map(Usd::picos), Some(1_000_000_000_000));
}
