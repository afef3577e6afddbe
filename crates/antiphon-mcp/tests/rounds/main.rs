//! Sampling since 2026-07-28: `input_required` rounds, with a client of the official library.

mod ending;
mod refusals;
mod support;

use antiphon_core::{ChatRequest, Error};
use antiphon_mcp::Call;
use futures_util::future::{join, join_all};
use rmcp::service::ClientLifecycleMode;
use serde_json::{Map, Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use support::*;

/// Asks all prompts at once.
fn spread() -> Scripted {
    Scripted::new("spread", |arguments, call| {
        Box::pin(async move { all_at_once(&arguments, &call).await })
    })
}

async fn all_at_once(arguments: &Map<String, Value>, call: &Call) -> Result<Value, Error> {
    let model = call.client_model()?;
    let prompts = arguments["prompts"].as_array().unwrap();
    let told = prompts
        .iter()
        .map(|prompt| told_or_code(&model, prompt.as_str().unwrap()));
    Ok(json!({"told": join_all(told).await}))
}

/// Asks for each part, then for the parts together, then for a better wording.
fn in_steps() -> Scripted {
    Scripted::new("in_steps", |arguments, call| {
        Box::pin(async move {
            let parts = all_at_once(&arguments, &call).await?;
            let model = call.client_model()?;
            let together = told(&model, ChatRequest::prompt(parts["told"].to_string())).await?;
            let better = told(&model, ChatRequest::prompt(format!("{together}?"))).await?;
            Ok(json!({"parts": parts["told"], "better": better}))
        })
    })
}

#[tokio::test(start_paused = true)]
async fn five_calls_at_once_travel_in_one_map() {
    let tool = spread();
    let client = connected(&server(&tool), DESK).await;
    let request = call(&tool, json!({"prompts": ["a", "b", "c", "d", "e"]}));
    let asked = Turn::of(&client, request).await.unwrap().asked();
    assert_eq!(asked.prompts(), ["a", "b", "c", "d", "e"]);
    let done = asked.shouted(&client).await.done();
    assert_eq!(done, json!({"told": ["A", "B", "C", "D", "E"]}));
    assert_eq!(tool.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn steps_that_build_on_one_another_take_a_round_each() {
    let tool = in_steps();
    let client = connected(&server(&tool), DESK).await;
    let request = call(&tool, json!({"prompts": ["a", "b"]}));
    let first = Turn::of(&client, request).await.unwrap().asked();
    assert_eq!(first.prompts(), ["a", "b"]);
    let second = first.shouted(&client).await.asked();
    assert_eq!(second.prompts(), [r#"["A","B"]"#]);
    // only the last answers are sent; the first have been carried
    let third = second.shouted(&client).await.asked();
    assert_eq!(third.prompts(), [r#"["A","B"]?"#]);
    let done = third.shouted(&client).await.done();
    assert_eq!(
        done,
        json!({"parts": ["A", "B"], "better": r#"["A","B"]?"#})
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_through_the_rounds_itself_just_gets_the_result() {
    let tool = in_steps();
    let client = connected(&server(&tool), DESK).await;
    let request = call(&tool, json!({"prompts": ["a", "b", "c"]}));
    let result = client.call_tool(request).await.unwrap();
    let parts = &result.structured_content.unwrap()["parts"];
    assert_eq!(parts, &json!(["A", "B", "C"]));
}

#[tokio::test(start_paused = true)]
async fn a_client_of_the_older_era_is_asked_on_the_back_channel() {
    let tool = in_steps();
    let mode = ClientLifecycleMode::Initialize;
    let client = connected_as(&server(&tool), DESK, mode).await;
    let request = call(&tool, json!({"prompts": ["a", "b"]}));
    let parts = Turn::of(&client, request).await.unwrap().done();
    assert_eq!(parts["parts"], json!(["A", "B"]));
    assert_eq!(tool.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn equal_prompts_with_different_samples_get_different_answers() {
    let tool = Scripted::new("samples", |_, call| {
        Box::pin(async move {
            let model = call.client_model()?;
            let told = (0..3).map(|sample| {
                let mut request = ChatRequest::prompt("a name?");
                request.sample = sample;
                told(&model, request)
            });
            let told: Result<Vec<String>, Error> = join_all(told).await.into_iter().collect();
            Ok(json!({"told": told?}))
        })
    });
    let client = connected(&server(&tool), DESK).await;
    let request = call(&tool, json!({}));
    let asked = Turn::of(&client, request).await.unwrap().asked();
    assert_eq!(asked.requests.len(), 3);
    let names = ["Ada", "Bo", "Cy"].map(said);
    let mut again = asked.again.clone();
    again.input_responses = Some(asked.requests.keys().cloned().zip(names).collect());
    let done = Turn::of(&client, again).await.unwrap().done();
    let mut told: Vec<&str> = done["told"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    told.sort_unstable();
    assert_eq!(told, ["Ada", "Bo", "Cy"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_the_same_again_gets_another_answer() {
    let tool = Scripted::new("stubborn", |_, call| {
        Box::pin(async move {
            let model = call.client_model()?;
            let mut heard: Vec<String> = Vec::new();
            while heard.last().is_none_or(|last| last != "yes") {
                match told(&model, ChatRequest::prompt("yes or no?")).await {
                    Ok(text) => heard.push(text),
                    Err(error) if error.kind().is_given_up() => return Err(error),
                    Err(error) => heard.push(error.kind().code().to_owned()),
                }
            }
            Ok(json!({"told": heard}))
        })
    });
    let client = connected(&server(&tool), DESK).await;
    let request = call(&tool, json!({}));
    let mut asked = Turn::of(&client, request).await.unwrap().asked();
    for answer in [said("maybe"), json!({"content": 7})] {
        let again = asked.answered(|_| Some(answer.clone()));
        asked = Turn::of(&client, again).await.unwrap().asked();
    }
    let again = asked.answered(|_| Some(said("yes")));
    let done = Turn::of(&client, again).await.unwrap().done();
    assert_eq!(done, json!({"told": ["maybe", "bad_response", "yes"]}));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_late_travels_in_the_next_round() {
    let tool = Scripted::new("late", |_, call| {
        Box::pin(async move {
            let model = call.client_model()?;
            // in a task of its own, where nobody sees whether it waits
            let other = model.clone();
            let late = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                told_or_code(&other, "late").await
            });
            let (early, late) = join(told_or_code(&model, "early"), late).await;
            Ok(json!({"told": [early, late.unwrap()]}))
        })
    });
    let client = connected(&server(&tool), DESK).await;
    let request = call(&tool, json!({}));
    let first = Turn::of(&client, request).await.unwrap().asked();
    assert_eq!(first.prompts(), ["early"]);
    let second = first.shouted(&client).await.asked();
    assert_eq!(second.prompts(), ["late"]);
    let done = second.shouted(&client).await.done();
    assert_eq!(done, json!({"told": ["EARLY", "LATE"]}));
}

/// Parts in tasks of their own come in another order each time, on a machine that is busy.
#[tokio::test(start_paused = true)]
async fn whoever_comes_late_with_what_was_answered_is_waited_for() {
    let runs = Arc::new(AtomicU32::new(0));
    let tool = Scripted::new("crossing", move |_, call| {
        let first = runs.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            let asks = ["a", "b"].map(|prompt| {
                let model = call.client_model();
                let is_late = first == (prompt == "b");
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(if is_late { 500 } else { 0 })).await;
                    told_or_code(&model.unwrap(), prompt).await
                })
            });
            let [a, b] = asks;
            Ok(json!({"told": [a.await.unwrap(), b.await.unwrap()]}))
        })
    });
    let client = connected(&server(&tool), DESK).await;
    let first = Turn::of(&client, call(&tool, json!({})))
        .await
        .unwrap()
        .asked();
    assert_eq!(first.prompts(), ["a"]);
    let second = first.shouted(&client).await.asked();
    assert_eq!(second.prompts(), ["b"]);
    let done = second.shouted(&client).await.done();
    assert_eq!(done, json!({"told": ["A", "B"]}));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_in_a_round_travels_in_the_next() {
    let tool = spread();
    let client = connected(&server(&tool), DESK).await;
    let prompts: Vec<String> = (0..150).map(|number| format!("p{number}")).collect();
    let mut turn = Turn::of(&client, call(&tool, json!({"prompts": prompts})))
        .await
        .unwrap();
    let mut rounds = Vec::new();
    while let Turn::Asked(asked) = turn {
        rounds.push(asked.requests.len());
        turn = asked.shouted(&client).await;
    }
    assert_eq!(rounds, [64, 64, 22]);
    assert_eq!(turn.done()["told"][149], "P149");
}
