//! What a key may spend in a day.

use antiphon::Usd;
use http::StatusCode;
use serde_json::json;

use crate::support::{Rig, running};

const KEYS: &str = r#"
[[keys]]
name = "a"
key_env = "KEY_OF_A"
budget_usd_per_day = 0.0105
[[keys]]
name = "b"
key_env = "KEY_OF_B"
budget_usd_per_day = 1.0
[[keys]]
name = "free"
key_env = "KEY_OF_FREE"
"#;

const DAY: u64 = 24 * 3600;

fn spent(rig: &Rig, name: &str) -> Usd {
    let budget = rig.caller(name).budget.unwrap();
    assert_eq!((budget.open, budget.lost), (Usd::ZERO, Usd::ZERO));
    budget.spent
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_key_spends_its_budget_and_the_next_day_has_another() {
    let rig = Rig::new(KEYS);
    let mut cost = Usd::ZERO;
    let refused = loop {
        let told = rig.ask("a", "fast").await;
        if told.status != StatusCode::OK {
            break told;
        }
        cost += usd(told.header("x-antiphon-cost-usd").unwrap());
        assert_eq!(spent(&rig, "a"), cost);
    };
    assert_eq!(
        refused.status,
        StatusCode::PAYMENT_REQUIRED,
        "{}",
        refused.body
    );
    assert!(cost > Usd::ZERO && cost <= usd("0.0105"));
    let message = refused.message();
    assert!(
        message.contains("max_tokens") && message.contains("2026-09-22T00:00:00Z"),
        "{message}"
    );
    // streams and the other dialect are refused alike
    for (path, stream) in [
        ("/v1/messages", false),
        ("/v1/messages", true),
        ("/v1/chat/completions", true),
    ] {
        let body = json!({"model": "fast", "stream": stream, "max_tokens": 4096, "messages": [{"role": "user", "content": "x"}]});
        let told = rig.ask_for("a", path, &body).await;
        assert_eq!(
            told.status,
            StatusCode::PAYMENT_REQUIRED,
            "{path} {}",
            told.body
        );
    }
    // a smaller request still fits, as was said
    let small =
        json!({"model": "fast", "max_tokens": 20, "messages": [{"role": "user", "content": "x"}]});
    let told = rig.ask_for("a", "/v1/chat/completions", &small).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    // other keys are not concerned
    assert_eq!(rig.ask("b", "fast").await.status, StatusCode::OK);
    assert_eq!(rig.ask("free", "fast").await.status, StatusCode::OK);

    rig.wall.set(1_790_000_000 / DAY * DAY + DAY - 1);
    assert_eq!(rig.ask("a", "fast").await.status.as_u16(), 402);
    rig.wall.set(1_790_000_000 / DAY * DAY + DAY);
    assert_eq!(rig.ask("a", "fast").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_asked_for_a_caller_is_paid_by_it() {
    let rig = Rig::new(KEYS);
    let mut before = Usd::ZERO;
    for model in ["fast", "safe", "panel"] {
        let told = rig.ask("b", model).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.body);
        let cost = usd(told.header("x-antiphon-cost-usd").unwrap());
        assert!(cost > Usd::ZERO);
        assert_eq!(spent(&rig, "b"), before + cost, "{model}");
        before += cost;
    }
    // the two members and the judge
    let stream =
        json!({"model": "panel", "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let told = rig.ask_for("b", "/v1/chat/completions", &stream).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    assert!(spent(&rig, "b") > before);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_bounded_is_refused_for_keys_with_a_budget_only() {
    let rig = Rig::new(KEYS);
    let told = rig.ask("b", "other").await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST, "{}", told.body);
    let message = told.message();
    assert!(
        message.contains("sim/free") && message.contains("[prices.\"sim/free\"]"),
        "{message}"
    );
    assert_eq!(rig.ask("free", "other").await.status, StatusCode::OK);
    assert_eq!(spent(&rig, "b"), Usd::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_restart_and_another_configuration_go_on_from_what_is_known() {
    let rig = Rig::new(KEYS);
    rig.ask("b", "fast").await;
    let used = spent(&rig, "b");
    let less = KEYS.replace("budget_usd_per_day = 1.0", "budget_usd_per_day = 0.000001");
    rig.gateway.replace(running(&less, &rig.books).unwrap());
    assert_eq!(spent(&rig, "b"), used);
    assert_eq!(rig.ask("b", "fast").await.status.as_u16(), 402);
    rig.books.close().await.unwrap();
    let folder = rig.books.folder().join("budgets");
    let file = std::fs::read_to_string(folder.join("2026-09-21.b")).unwrap();
    assert_eq!(file.trim(), used.picos().to_string());
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_is_refused_changes_no_budget() {
    let rig = Rig::new(KEYS);
    rig.ask("b", "fast").await;
    let before = rig.caller("b").budget;
    let other = KEYS.replace("budget_usd_per_day = 1.0", "budget_usd_per_day = 0.000001");
    // the last key is the first one once more
    let twice = other.replace("KEY_OF_FREE", "KEY_OF_A");
    let error = running(&twice, &rig.books).unwrap_err();
    assert!(error.0.contains("the same key"), "{error}");
    // one that was read and is not put in place changes as little
    let read = running(&other, &rig.books).unwrap();
    assert_eq!(rig.caller("b").budget, before);
    for _ in 0..2 {
        let told = rig.ask("b", "fast").await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    }
    rig.gateway.replace(read);
    let told = rig.ask("b", "fast").await;
    assert_eq!(told.status, StatusCode::PAYMENT_REQUIRED, "{}", told.body);
}
