use antiphon_gateway::Running;

use crate::{
    exposition::Page,
    support::{KEY, PROMPT, Served, chat, serve, session, until},
    upstream::provider,
};

const OPEN: &str = "accept: application/openmetrics-text; version=1.0.0, text/plain; q=0.5\r\n";

async fn scrape(served: &Served) -> Page {
    let answer = served.ask("GET", "/metrics", OPEN, "").await;
    assert_eq!(answer.status, 200);
    let content_type = answer.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text"));
    assert!(answer.body.ends_with("# EOF\n"));
    for canary in [PROMPT, KEY, "ANSWER-CANARY"] {
        assert!(!answer.body.contains(canary), "{canary}");
    }
    Page::read(&answer.body)
}

const PRICED: &str = r#"model="openai/gpt-4o-mini""#;
const UNPRICED: &str = r#"model="up/busy""#;
const OPENAI: &str = r#"wire="openai""#;

/// A mix of calls: whole, streamed, rate limited once, refused, unreadable, unknown, hung up.
async fn mix(served: &Served) -> f64 {
    let mut cost = 0.0;
    for stream in [false, false, true] {
        let answer = served.chat("openai/gpt-4o-mini", "", stream).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains("ANSWER-CANARY"));
        let told = answer.header("x-antiphon-cost-usd");
        cost += told.map_or(0.0, |told| told.parse::<f64>().unwrap());
    }
    let body = format!(
        r#"{{"model":"openai/gpt-4o-mini","max_tokens":9,"messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#
    );
    let answer = served.ask("POST", "/v1/messages", "", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(served.chat("up/busy", "", false).await.status, 200);
    assert_eq!(served.chat("bad", "", false).await.status, 400);
    assert_eq!(
        served.chat("no-such-provider/x", "", false).await.status,
        404
    );
    let answer = served.ask("POST", "/v1/chat/completions", "", "{").await;
    assert_eq!(answer.status, 400);
    let hanging = chat("hang", true);
    let hanging = served.begin("POST", "/v1/chat/completions", "", &hanging);
    let hanging = hanging.await;
    // a caller who is gone before the call began leaves nothing to count
    until(async || {
        let page = scrape(served).await;
        page.get("antiphon_upstream_attempts_in_flight", &[]) == Some(1.0)
    })
    .await;
    drop(hanging);
    cost
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_counts_what_was_called() {
    let provider = provider();
    let served = serve(&provider, Vec::new()).await;
    let before = scrape(&served).await;
    let cost_of_whole = mix(&served).await;
    let hung_up = ["outcome=\"hung_up\""];
    until(async || {
        scrape(&served)
            .await
            .sum("antiphon_requests_total", &hung_up)
            == 1.0
    })
    .await;
    let page = scrape(&served).await;
    page.goes_on_from(&before);

    let requests = |labels: &[&str]| page.sum("antiphon_requests_total", labels);
    let answered = r#"outcome="answered""#;
    let failed = r#"outcome="failed""#;
    assert_eq!(requests(&[]), 9.0);
    assert_eq!(requests(&[PRICED, OPENAI, answered]), 3.0);
    assert_eq!(requests(&[PRICED, r#"wire="anthropic""#, answered]), 1.0);
    assert_eq!(requests(&[UNPRICED, answered]), 1.0);
    assert_eq!(requests(&[failed]), 3.0);
    assert_eq!(requests(&[r#"model="bad""#, failed]), 1.0);
    assert_eq!(requests(&[r#"model="unknown""#, failed]), 2.0);
    assert_eq!(requests(&[r#"model="hang""#, "hung_up"]), 1.0);
    let errors = |labels: &[&str]| page.sum("antiphon_errors_total", labels);
    assert_eq!(errors(&[]), 3.0);
    assert_eq!(errors(&[r#"model="bad""#, r#"code="bad_request""#]), 1.0);
    assert_eq!(errors(&[r#"code="model_not_found""#]), 1.0);

    let of_priced = |name: &str| page.sum(name, &[PRICED]);
    assert_eq!(of_priced("antiphon_input_tokens_total"), 28.0);
    assert_eq!(of_priced("antiphon_cached_input_tokens_total"), 8.0);
    assert_eq!(of_priced("antiphon_output_tokens_total"), 12.0);
    assert_eq!(of_priced("antiphon_reasoning_tokens_total"), 4.0);
    assert_eq!(of_priced("antiphon_unpriced_answers_total"), 0.0);
    assert!(cost_of_whole > 0.0);
    let cost = of_priced("antiphon_cost_usd_total");
    // two of the four said theirs in a header
    assert!(
        (cost - 2.0 * cost_of_whole).abs() < 1e-12,
        "{cost} {cost_of_whole}"
    );
    assert_eq!(page.sum("antiphon_cost_usd_total", &[UNPRICED]), 0.0);
    assert_eq!(
        page.sum("antiphon_unpriced_answers_total", &[UNPRICED]),
        1.0
    );
    let carbon = |bound: &str| page.sum("antiphon_carbon_gco2e_total", &[PRICED, bound]);
    let (min, max) = (carbon("bound=\"min\""), carbon("bound=\"max\""));
    assert!(min > 0.0 && min <= max, "{min} {max}");

    let took = "antiphon_request_duration_seconds";
    assert_eq!(page.sum(&format!("{took}_count"), &[]), 5.0);
    assert_eq!(page.sum(&format!("{took}_bucket"), &["le=\"+Inf\""]), 5.0);
    assert!(page.sum(&format!("{took}_sum"), &[]) > 0.0);
    let first = "antiphon_time_to_first_token_seconds_count";
    assert_eq!(page.sum(first, &[PRICED, OPENAI]), 1.0);
    assert_eq!(page.sum(first, &[]), 1.0);
    assert_eq!(page.get("antiphon_requests_in_flight", &[]), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_tells_of_providers_and_accounts() {
    let provider = provider();
    let served = serve(&provider, Vec::new()).await;
    mix(&served).await;
    until(async || {
        let page = scrape(&served).await;
        page.get("antiphon_upstream_attempts_in_flight", &[]) == Some(0.0)
            && page.sum("antiphon_upstream_attempts_total", &[]) == 8.0
    })
    .await;
    let page = scrape(&served).await;
    let upstream = |what: &str| page.sum(&format!("antiphon_upstream_{what}_total"), &[]);
    assert_eq!(upstream("answers"), 5.0);
    assert_eq!(upstream("rate_limited"), 1.0);
    let limited = [r#"code="rate_limited""#];
    assert_eq!(
        page.get("antiphon_upstream_retries_total", &limited),
        Some(1.0)
    );
    assert_eq!(
        page.get("antiphon_upstream_failures_total", &limited),
        Some(1.0)
    );
    let server = format!(r#"server="{}""#, provider.address);
    let up = page.get("antiphon_account_up", &[UNPRICED, &server]);
    assert_eq!(up, Some(1.0));
    let limit = page.get("antiphon_account_concurrency_limit", &[UNPRICED]);
    assert!(limit.is_some_and(|limit| limit >= 1.0));
    assert_eq!(
        page.get("antiphon_account_requests_per_minute", &[UNPRICED]),
        None
    );
    assert_eq!(page.sum("antiphon_build_info", &["version="]), 1.0);
    assert!(page.get("antiphon_uptime_seconds", &[]).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_survive_a_new_configuration() {
    let provider = provider();
    let served = serve(&provider, Vec::new()).await;
    for round in 1..=3 {
        let before = scrape(&served).await;
        served.chat("openai/gpt-4o-mini", "", false).await;
        served
            .gateway
            .replace(Running::open_to_all(session(&provider)));
        let page = scrape(&served).await;
        page.goes_on_from(&before);
        let round = f64::from(round);
        assert_eq!(page.sum("antiphon_requests_total", &[PRICED]), round);
        assert_eq!(page.sum("antiphon_upstream_attempts_total", &[]), round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_cannot_make_labels() {
    let provider = provider();
    let served = serve(&provider, Vec::new()).await;
    for number in 0..20 {
        let name = format!("bad{number}\\\"\n}} 1 {PROMPT}");
        served.chat(&format!("up/{name}"), "", false).await;
        served.chat(&name, "", false).await;
    }
    let page = scrape(&served).await;
    let models = page
        .ids()
        .filter(|id| id.starts_with("antiphon_requests_total"));
    assert_eq!(models.count(), 3, "{page:?}");
    // where the server answers whatever it is called, only so many have a label of their own
    for number in 0..300 {
        served
            .chat(&format!("up/any{number}\\\"\n"), "", false)
            .await;
    }
    let page = scrape(&served).await;
    let answered = page
        .ids()
        .filter(|id| id.starts_with("antiphon_requests_total"));
    assert_eq!(answered.count(), 3 * (1 + 256 + 1));
    let other = [r#"model="other""#, "answered"];
    assert_eq!(page.sum("antiphon_requests_total", &other), 300.0 - 256.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_open_metrics_gets_the_older_text() {
    let provider = provider();
    let served = serve(&provider, Vec::new()).await;
    served.chat("openai/gpt-4o-mini", "", true).await;
    let answer = served.ask("GET", "/metrics", "", "").await;
    let content_type = answer.header("content-type").unwrap();
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(
        answer
            .body
            .contains("# TYPE antiphon_requests_total counter\n")
    );
    assert!(!answer.body.contains("# EOF"));
    let page = Page::read(&answer.body);
    assert_eq!(page.sum("antiphon_requests_total", &[PRICED]), 1.0);
}
