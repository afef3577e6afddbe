//! What is asked and answered beside plain chats: responses, embeddings, counted tokens, thoughts, odds and tools.

mod rig;

use antiphon_sim::{FaultKind, RunningSim, SimConfig};
use rig::{ANTHROPIC, OPENAI, Seen, events, failing, get, post, post_with, question, serve};
use serde_json::{Value, json};

const RESPONSES: &str = "/v1/responses";
const EMBEDDINGS: &str = "/v1/embeddings";
const COUNT: &str = "/v1/messages/count_tokens";
const PROMPT: &str = "Tell me “what” a naïve 漢字 reader should know about rivers";

async fn calm() -> RunningSim {
    serve(SimConfig::default()).await
}

fn response(text: &str, stream: bool) -> Value {
    json!({"model": "small", "input": text, "stream": stream})
}

/// What the events of a response add up to, and the response that the last one carries.
fn added_up(seen: &Seen) -> (String, Value) {
    let mut text = String::new();
    let mut last = Value::Null;
    for (number, (name, data)) in events(&seen.body).into_iter().enumerate() {
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(
            (&data["type"], &data["sequence_number"]),
            (&json!(name), &json!(number))
        );
        if name == "response.output_text.delta" {
            text.push_str(data["delta"].as_str().unwrap());
        }
        last = data["response"].clone();
    }
    (text, last)
}

#[tokio::test]
async fn a_response_says_what_a_chat_does() {
    let server = calm().await;
    let chat = post(&server, OPENAI, &question(OPENAI, PROMPT, false))
        .await
        .json();
    let whole = post(&server, RESPONSES, &response(PROMPT, false))
        .await
        .json();
    let text = &whole["output"][0]["content"][0]["text"];
    assert_eq!(text, &chat["choices"][0]["message"]["content"]);
    assert_eq!(
        whole["usage"]["input_tokens"],
        chat["usage"]["prompt_tokens"]
    );
    assert_eq!(
        whole["usage"]["output_tokens"],
        chat["usage"]["completion_tokens"]
    );
    let (streamed, last) = added_up(&post(&server, RESPONSES, &response(PROMPT, true)).await);
    assert_eq!((&json!(streamed), &last), (text, &whole));
    // one prompt, whichever form it came in
    assert_eq!(server.simulator().ledger().report().distinct_prompts, 1);
}

#[tokio::test]
async fn items_are_read_as_the_turns_they_stand_for() {
    let server = calm().await;
    let chat = json!({"model": "small", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"sky\"}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "Rain."},
    ]});
    let items = json!({"model": "small", "instructions": "Be brief.", "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Look."}]},
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{\"at\":\"sky\"}"},
        {"type": "function_call_output", "call_id": "c", "output": "Rain."},
    ]});
    let chat = post(&server, OPENAI, &chat).await.json();
    let told = post(&server, RESPONSES, &items).await.json();
    assert_eq!(
        told["output"][0]["content"][0]["text"],
        chat["choices"][0]["message"]["content"]
    );
}

#[tokio::test]
async fn kinds_of_faults_reach_every_form() {
    for kind in FaultKind::all().map(|(kind, _)| kind) {
        use FaultKind::{Drip, Hang, Huge, Stall};
        if [Drip, Hang, Huge, Stall].contains(&kind) {
            continue;
        }
        let server = failing(&kind.to_string()).await;
        let asked = [
            (RESPONSES, response(PROMPT, false)),
            (RESPONSES, response(PROMPT, true)),
            (EMBEDDINGS, response(PROMPT, false)),
            (COUNT, question(ANTHROPIC, PROMPT, false)),
        ];
        for (path, body) in &asked {
            let seen = post(&server, path, body).await;
            let is_refused = !matches!(seen.status, 200);
            let fails = kind.fate() == antiphon_sim::Fate::Fails;
            assert_eq!(is_refused, fails, "{kind} at {path}: {seen:?}");
        }
        let report = server.simulator().ledger().report();
        assert_eq!(report.faults[&kind.to_string()], 4, "{kind}");
        assert_eq!(report.in_flight, 0, "{kind}");
    }
}

#[tokio::test]
async fn broken_responses_end_without_their_last_event() {
    for kind in ["truncate", "early-end", "error-event", "garbage"] {
        let server = failing(kind).await;
        let seen = post(&server, RESPONSES, &response(PROMPT, true)).await;
        let told = events(&seen.body);
        assert!(
            told.iter().all(|(name, _)| name != "response.completed"),
            "{kind}: {told:?}"
        );
        assert_eq!(told.last().unwrap().0 == "error", kind == "error-event");
    }
    let server = failing("length").await;
    let (text, last) = added_up(&post(&server, RESPONSES, &response(PROMPT, true)).await);
    assert_eq!(
        (&last["status"], text.is_empty()),
        (&json!("incomplete"), false)
    );
    assert_eq!(last["incomplete_details"]["reason"], "max_output_tokens");
}

#[tokio::test]
async fn calls_that_take_turns_keep_their_index() {
    let server = failing("interleaved").await;
    let seen = post(&server, RESPONSES, &response(PROMPT, true)).await;
    let (_, last) = added_up(&seen);
    let mut arguments = [String::new(), String::new()];
    let mut order = Vec::new();
    for (name, data) in events(&seen.body) {
        let data: Value = serde_json::from_str(&data).unwrap();
        if name == "response.function_call_arguments.delta" {
            let index = data["output_index"].as_u64().unwrap() as usize;
            order.push(index);
            arguments[index].push_str(data["delta"].as_str().unwrap());
        }
    }
    assert_eq!(order, [0, 1, 0, 1]);
    for (index, arguments) in arguments.iter().enumerate() {
        assert_eq!(last["output"][index]["arguments"], json!(arguments));
    }
}

#[tokio::test]
async fn vectors_are_of_their_text_and_charged_by_it() {
    let server = calm().await;
    let body = json!({"model": "small", "input": ["river", "bridge", "river"], "dimensions": 16});
    let told = post(&server, EMBEDDINGS, &body).await.json();
    let vector = |index: usize| -> Vec<f64> {
        serde_json::from_value(told["data"][index]["embedding"].clone()).unwrap()
    };
    assert_eq!((vector(0), vector(0).len()), (vector(2), 16));
    assert_ne!(vector(0), vector(1));
    let length: f64 = vector(0).iter().map(|side| side * side).sum();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    assert_eq!(
        told["usage"],
        json!({"prompt_tokens": 6, "total_tokens": 6})
    );
    assert_eq!(server.simulator().ledger().report().usage.input_tokens, 6);
    for wrong in [json!(""), json!([]), json!(null), json!(["a", ""])] {
        let refused = post(
            &server,
            EMBEDDINGS,
            &json!({"model": "small", "input": wrong}),
        )
        .await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn lengths_are_told_free_of_charge() {
    let server = calm().await;
    let body = question(ANTHROPIC, PROMPT, false);
    let counted = post(&server, COUNT, &body).await.json();
    assert_eq!(server.simulator().ledger().report().usage.input_tokens, 0);
    let answered = post(&server, ANTHROPIC, &body).await.json();
    assert_eq!(
        counted,
        json!({"input_tokens": answered["usage"]["input_tokens"]})
    );
    assert_eq!(server.simulator().ledger().report().repeated_prompts, 0);
}

#[tokio::test]
async fn thoughts_are_shown_to_who_asks() {
    let server = calm().await;
    let mut body = question(OPENAI, PROMPT, false);
    let plain = post(&server, OPENAI, &body).await.json();
    assert_eq!(
        plain["choices"][0]["message"].get("reasoning_content"),
        None
    );
    body["reasoning_effort"] = "low".into();
    let chat = post(&server, OPENAI, &body).await.json();
    let thought = &chat["choices"][0]["message"]["reasoning_content"];
    assert!(thought.as_str().unwrap().starts_with("(simulated thought)"));
    let mut body = question(ANTHROPIC, PROMPT, false);
    body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    let message = post(&server, ANTHROPIC, &body).await.json();
    let block = &message["content"][0];
    assert_eq!(
        (&block["type"], &block["thinking"]),
        (&json!("thinking"), thought)
    );
    assert_eq!(
        message["content"][1]["text"],
        chat["choices"][0]["message"]["content"]
    );
    let mut body = response(PROMPT, false);
    body["reasoning"] = json!({"effort": "low"});
    let told = post(&server, RESPONSES, &body).await.json();
    assert_eq!(&told["output"][0]["summary"][0]["text"], thought);
    let spent = &told["usage"]["output_tokens_details"]["reasoning_tokens"];
    assert_eq!(
        spent,
        &chat["usage"]["completion_tokens_details"]["reasoning_tokens"]
    );
    assert!(spent.as_u64() > Some(0));
}

#[tokio::test]
async fn tools_that_the_question_names_are_called() {
    let server = calm().await;
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let mut body = question(OPENAI, "Use get_time and look-up; not get_timezone.", false);
    body["tools"] = json!([tool("get_time"), tool("get"), tool("look-up")]);
    let names = |answer: &Value| -> Vec<String> {
        let calls = answer["choices"][0]["message"]["tool_calls"].as_array();
        let names = calls.into_iter().flatten();
        names
            .map(|call| call["function"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let asked = async |body: &Value| names(&post(&server, OPENAI, body).await.json());
    assert_eq!(asked(&body).await, ["get_time", "look-up"]);
    body["parallel_tool_calls"] = false.into();
    assert_eq!(asked(&body).await, ["get_time"]);
    body["tool_choice"] = "none".into();
    assert!(asked(&body).await.is_empty());
    body["tool_choice"] = "required".into();
    assert_eq!(asked(&body).await, ["get_time"]);
    body["tool_choice"] = "auto".into();
    body["messages"] =
        json!([{"role": "user", "content": "Hi"}, {"role": "tool", "content": "get_time said no"}]);
    assert!(asked(&body).await.is_empty(), "a result is no question");
}

#[tokio::test]
async fn one_model_fails_and_another_does_not() {
    let fail = vec![
        "500@large=1".parse().unwrap(),
        "429@medium=1".parse().unwrap(),
    ];
    let server = serve(SimConfig {
        fail,
        ..SimConfig::default()
    })
    .await;
    for (model, status) in [("small", 200), ("large", 500), ("medium", 429)] {
        let mut body = question(OPENAI, PROMPT, false);
        body["model"] = model.into();
        assert_eq!(post(&server, OPENAI, &body).await.status, status, "{model}");
    }
}

#[tokio::test]
async fn the_last_requests_are_kept_without_their_keys() {
    let server = calm().await;
    let mut body = question(OPENAI, PROMPT, false);
    body["x_unknown"] = json!([1, {"deep": true}]);
    let headers = "openai-organization: org\r\nauthorization: Bearer secret-key\r\n";
    post_with(&server, OPENAI, &body, headers).await;
    post_with(
        &server,
        ANTHROPIC,
        &question(ANTHROPIC, PROMPT, false),
        "x-api-key: secret-key\r\n",
    )
    .await;
    let seen = get(&server, "/sim/recent").await;
    assert!(!seen.text().contains("secret"), "{}", seen.text());
    let told = seen.json();
    assert_eq!(
        (&told[1]["path"], &told[1]["body"]),
        (&json!(OPENAI), &body)
    );
    assert_eq!(told[1]["headers"]["openai-organization"], "org");
    assert_eq!(
        told[1]["headers"]["authorization"],
        told[0]["headers"]["x-api-key"]
    );
    for number in 0..20 {
        post(
            &server,
            OPENAI,
            &question(OPENAI, &number.to_string(), false),
        )
        .await;
    }
    let told = get(&server, "/sim/recent").await.json();
    assert_eq!(told.as_array().unwrap().len(), 16);
    assert_eq!(told[0]["body"]["messages"][0]["content"], "19");
}

#[tokio::test]
async fn the_new_version_samples_as_it_likes() {
    let server = calm().await;
    let mut body = question(ANTHROPIC, PROMPT, false);
    body["temperature"] = 1.into();
    for (version, status) in [("2023-06-01", 200), ("2026-10-21", 400)] {
        let headers = format!("anthropic-version: {version}\r\n");
        let seen = post_with(&server, ANTHROPIC, &body, &headers).await;
        assert_eq!(seen.status, status, "{}", seen.text());
    }
}
