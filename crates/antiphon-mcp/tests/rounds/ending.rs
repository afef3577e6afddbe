//! How a tool's run ends when its client is asked first.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use antiphon_core::ErrorKind;
use serde_json::json;
use tokio::time::Instant;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_tool_is_told_and_ends_in_order_before_its_client_is_asked() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&notes);
    let tool = Scripted::new("orderly", move |_, call| {
        let notes = Arc::clone(&kept);
        Box::pin(async move {
            let model = call.client_model()?;
            let first = told_or_code(&model, "a").await;
            let note = format!("{first}, told: {}", call.cancelled().is_cancelled());
            notes.lock().unwrap().push(note);
            // what is asked now is not sent
            let second = told_or_code(&model, "b").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            notes.lock().unwrap().push(second);
            Ok(json!({"told": first}))
        })
    });
    let client = connected(&server(&tool), DESK).await;
    let asked = Turn::of(&client, call(&tool, json!({}))).await.unwrap();
    assert_eq!(asked.asked().prompts(), ["a"]);
    let stopped = ErrorKind::Stopped.code();
    let notes = notes.lock().unwrap().clone();
    assert_eq!(
        notes,
        [format!("{stopped}, told: true"), stopped.to_owned()]
    );
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_does_not_end_is_dropped() {
    let tool = Scripted::new("endless", |_, call| {
        Box::pin(async move {
            let model = call.client_model()?;
            let first = told_or_code(&model, "a").await;
            if first == "stopped" {
                std::future::pending::<()>().await;
            }
            Ok(json!({"told": first}))
        })
    });
    let client = connected(&server(&tool), DESK).await;
    let begun = Instant::now();
    let asked = Turn::of(&client, call(&tool, json!({})))
        .await
        .unwrap()
        .asked();
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(asked.shouted(&client).await.done(), json!({"told": "A"}));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_a_call_up_ends_it() {
    let has_ended = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&has_ended);
    let tool = Scripted::new("waiting", move |_, call| {
        let ended = Arc::clone(&ended);
        Box::pin(async move {
            call.cancelled().cancelled().await;
            ended.store(true, Ordering::SeqCst);
            Ok(json!({}))
        })
    });
    let client = connected(&server(&tool), DESK).await;
    let request = client.call_tool_once(call(&tool, json!({})));
    // dropping the request withdraws it
    let given_up = tokio::time::timeout(Duration::from_secs(30), request).await;
    assert!(given_up.is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(has_ended.load(Ordering::SeqCst));
}
