use std::{fs, path::Path, sync::Arc};

use antiphon_gateway::observe::{AccessLog, LogTarget};
use serde_json::Value;

use crate::{
    support::{KEY, PROMPT, serve},
    upstream::provider,
};

fn open(path: &Path, has_content: bool) -> Arc<AccessLog> {
    let target = LogTarget::File(path.to_owned());
    Arc::new(AccessLog::open(target, has_content).unwrap())
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_a_line_without_prompt_answer_or_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path, false);
    let provider = provider();
    let served = serve(&provider, vec![log.clone()]).await;
    served.chat("openai/gpt-4o-mini", "", false).await;
    served.chat("openai/gpt-4o-mini", "", true).await;
    // the provider's refusal repeats the prompt
    let refused = served.chat("bad", "", false).await;
    assert!(refused.body.contains(PROMPT));
    let evil = format!("nope/\u{1b}[2J\u{9b}31m\u{7f}\n{}", "x".repeat(100_000));
    served.chat(&evil, "", false).await;
    log.close();

    let text = fs::read_to_string(&path).unwrap();
    for canary in [PROMPT, KEY, "ANSWER-CANARY"] {
        assert!(!text.contains(canary), "{canary} in {text}");
    }
    let is_control = |char: char| char.is_control() && char != '\n';
    assert!(!text.contains(is_control) && text.len() < 4000, "{text:?}");
    let lines = lines(&path);
    let [whole, streamed, bad, evil] = lines.as_slice() else {
        panic!("{text}");
    };
    assert_eq!(whole["model"], "openai/gpt-4o-mini");
    assert_eq!(whole["outcome"], "answered");
    assert_eq!(
        (&whole["status"], &whole["wire"]),
        (&200.into(), &"openai".into())
    );
    assert_eq!(whole["remote"], "127.0.0.1");
    assert_eq!(
        (&whole["input_tokens"], &whole["output_tokens"]),
        (&7.into(), &3.into())
    );
    assert_eq!(whole["finish_reason"], "stop");
    assert_eq!(whole["upstream_id"], "req-of-the-provider");
    assert!(whole["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0));
    assert!(whole["took_ms"].as_f64().is_some_and(|took| took > 0.0));
    assert!(whole["first_token_ms"].is_null() && whole["error"].is_null());
    assert!(whole.get("messages").is_none() && whole.get("answer").is_none());
    let time = whole["time"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.len() == "2026-11-21T09:00:00.000Z".len());
    assert!(streamed["first_token_ms"].as_f64().is_some());
    assert_eq!(streamed["cost_usd"], whole["cost_usd"]);
    assert_eq!(
        (&bad["outcome"], &bad["error"]),
        (&"failed".into(), &"bad_request".into())
    );
    assert_eq!(evil["status"], 400);
    assert!(
        evil["asked"]
            .as_str()
            .unwrap()
            .starts_with("nope/\u{1b}[2J\u{9b}31m\u{7f}\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_and_answers_are_told_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path, true);
    let provider = provider();
    let served = serve(&provider, vec![log.clone()]).await;
    for stream in [false, true] {
        served.chat("openai/gpt-4o-mini", "", stream).await;
    }
    log.close();
    let lines = lines(&path);
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!(line["messages"][0]["content"], PROMPT);
        assert_eq!(line["answer"], "ANSWER-CANARY");
        assert!(!line.to_string().contains(KEY));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_moved_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let moved = folder.path().join("access.log.1");
    fs::write(&path, "{}\n").unwrap();
    let log = open(&path, false);
    let provider = provider();
    let served = serve(&provider, vec![log.clone()]).await;
    served.chat("openai/gpt-4o-mini", "", false).await;
    fs::rename(&path, &moved).unwrap();
    log.reopen();
    served.chat("openai/gpt-4o-mini", "", false).await;
    log.close();
    assert_eq!((lines(&moved).len(), lines(&path).len()), (2, 1));
}
