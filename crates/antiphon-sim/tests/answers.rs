//! What is said: the same to the same question, on every way in.

mod rig;

use antiphon_core::{
    ChatRequest, FinishReason, Message, Model, SystemClock,
    chat::{Delivery, Role},
};
use antiphon_sim::{SimConfig, SimModel};
use rig::{ANTHROPIC, OPENAI, folded, post, question, serve};
use serde_json::{Value, json};

const QUESTIONS: [&str; 4] = [
    "What is 17 + 25?",
    "A shop sells 16 cups a day for $2 each. How much does it make in 5 days?",
    "Why is the sky blue — and the sea?",
    "",
];

fn model(config: SimConfig) -> SimModel {
    SimModel::new("small", config, SystemClock::shared())
}

async fn answer(model: &SimModel, request: ChatRequest) -> antiphon_core::Answer {
    model
        .call(request)
        .await
        .unwrap()
        .whole()
        .await
        .unwrap()
        .answer
}

#[tokio::test]
async fn every_way_in_gives_the_same_answer() {
    let server = serve(SimConfig::default()).await;
    for text in QUESTIONS {
        let local = answer(&model(SimConfig::default()), ChatRequest::prompt(text)).await;
        let usage = local.usage().unwrap();
        let openai = post(&server, OPENAI, &question(OPENAI, text, false))
            .await
            .json();
        assert_eq!(
            openai,
            serde_json::from_slice::<Value>(&local.body).unwrap()
        );
        assert_eq!(openai["choices"][0]["message"]["content"], local.text);
        assert_eq!(openai["usage"]["prompt_tokens"], usage.input_tokens);
        assert_eq!(openai["usage"]["completion_tokens"], usage.output_tokens);
        let anthropic = post(&server, ANTHROPIC, &question(ANTHROPIC, text, false))
            .await
            .json();
        assert_eq!(anthropic["content"][0]["text"], local.text);
        assert_eq!(anthropic["usage"]["input_tokens"], usage.input_tokens);
        assert_eq!(anthropic["usage"]["output_tokens"], usage.output_tokens);
        for path in [OPENAI, ANTHROPIC] {
            let told = folded(
                path,
                &post(&server, path, &question(path, text, true)).await.body,
            );
            assert_eq!(told.text, local.text);
            assert_eq!(
                (told.input, told.output),
                (Some(usage.input_tokens), Some(usage.output_tokens))
            );
            assert!(told.closed && !told.error);
        }
        let streamed = ChatRequest {
            delivery: Delivery::Streamed,
            ..ChatRequest::prompt(text)
        };
        let streamed = answer(&model(SimConfig::default()), streamed).await;
        assert_eq!(
            (streamed.text, streamed.spent.usage(), streamed.model),
            (local.text.clone(), local.spent.usage(), local.model)
        );
        assert!(local.text.contains("(simulated)"));
    }
}

#[tokio::test]
async fn bodies_have_the_fields_that_the_official_clients_read() {
    let server = serve(SimConfig::default()).await;
    let body = post(&server, OPENAI, &question(OPENAI, "hello", false))
        .await
        .json();
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-") && body["created"].is_u64());
    assert_eq!(
        (&body["object"], &body["model"]),
        (&json!("chat.completion"), &json!("small"))
    );
    let choice = &body["choices"][0];
    assert_eq!(
        (&choice["index"], &choice["message"]["role"]),
        (&json!(0), &json!("assistant"))
    );
    assert!(choice["message"]["refusal"].is_null() && choice["finish_reason"] == "stop");
    let usage = &body["usage"];
    let sum =
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 0);

    let body = post(&server, ANTHROPIC, &question(ANTHROPIC, "hello", false))
        .await
        .json();
    assert!(body["id"].as_str().unwrap().starts_with("msg_") && body["stop_sequence"].is_null());
    assert_eq!(
        (&body["type"], &body["role"]),
        (&json!("message"), &json!("assistant"))
    );
    assert_eq!(
        (&body["content"][0]["type"], &body["stop_reason"]),
        (&json!("text"), &json!("end_turn"))
    );
    assert_eq!(body["usage"]["cache_read_input_tokens"], 0);
    assert_eq!(body["usage"]["cache_creation_input_tokens"], 0);
}

#[tokio::test]
async fn the_wire_form_of_a_conversation_does_not_matter() {
    let server = serve(SimConfig::default()).await;
    let openai = json!({"model": "small", "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{\"at\": \"sky\"}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "Rain."},
        {"role": "user", "content": "And tomorrow?"},
    ]});
    let anthropic = json!({"model": "small", "max_tokens": 999, "system": "Be brief.", "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"at": "sky"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": "Rain."},
            {"type": "text", "text": "And tomorrow?"}]},
    ]});
    let a = post(&server, OPENAI, &openai).await.json();
    let b = post(&server, ANTHROPIC, &anthropic).await.json();
    assert_eq!(
        a["choices"][0]["message"]["content"],
        b["content"][0]["text"]
    );
    assert_eq!(a["usage"]["prompt_tokens"], b["usage"]["input_tokens"]);
}

#[tokio::test]
async fn what_matters_changes_the_answer() {
    let base = ChatRequest::prompt("Tell me a story");
    let text = async |seed, request: ChatRequest| {
        answer(
            &model(SimConfig {
                seed,
                ..SimConfig::default()
            }),
            request,
        )
        .await
        .text
    };
    let first = text(0, base.clone()).await;
    assert_eq!(
        first,
        text(0, base.clone().with_param("user", json!("me"))).await
    );
    let others = [
        text(1, base.clone()).await,
        text(0, base.clone().with_param("seed", json!(5))).await,
        text(0, base.clone().with_param("temperature", json!(0.3))).await,
    ];
    // a few dozen texts exist, so a single pair may agree by chance, but not all
    assert!(others.iter().any(|other| *other != first));
}

#[tokio::test]
async fn caps_and_stops_cut_the_answer() {
    let server = serve(SimConfig::default()).await;
    let mut body = question(OPENAI, QUESTIONS[2], false);
    let full = post(&server, OPENAI, &body).await.json();
    let full = full["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    body["max_tokens"] = 5.into();
    let cut = post(&server, OPENAI, &body).await.json();
    let text = cut["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(full.starts_with(text) && text.len() <= 20);
    assert_eq!(
        (
            &cut["choices"][0]["finish_reason"],
            &cut["usage"]["completion_tokens"]
        ),
        (&json!("length"), &json!(5))
    );

    let mut body = question(ANTHROPIC, QUESTIONS[2], false);
    body["stop_sequences"] = json!(["never said", ":"]);
    let cut = post(&server, ANTHROPIC, &body).await.json();
    assert_eq!(
        (&cut["stop_reason"], &cut["stop_sequence"]),
        (&json!("stop_sequence"), &json!(":"))
    );
    assert_eq!(cut["content"][0]["text"], full.split(':').next().unwrap());
}

#[tokio::test]
async fn several_choices_are_several_answers_whole_and_streamed() {
    let server = serve(SimConfig::default()).await;
    let mut body = question(OPENAI, "Tell me a story", false);
    body["n"] = 4.into();
    let whole = post(&server, OPENAI, &body).await.json();
    let texts: Vec<&str> = whole["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| choice["message"]["content"].as_str().unwrap())
        .collect();
    assert_eq!(texts.len(), 4);
    assert!(texts.iter().any(|text| *text != texts[0]));
    body["stream"] = true.into();
    let stream = post(&server, OPENAI, &body).await;
    let mut told = vec![String::new(); 4];
    for (_, data) in rig::events(&stream.body) {
        let chunk: Value = serde_json::from_str(&data).unwrap_or_default();
        let index = chunk["choices"][0]["index"].as_u64().unwrap_or_default() as usize;
        told[index].push_str(
            chunk["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap_or_default(),
        );
    }
    assert_eq!(told, texts);
}

#[tokio::test]
async fn a_forced_tool_is_called_with_arguments_that_fit() {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string", "enum": ["Bern", "Graz"]}},
        "required": ["city"], "additionalProperties": false});
    let server = serve(SimConfig::default()).await;
    let mut body = question(OPENAI, "Weather?", false);
    body["tools"] = json!([{"type": "function", "function": {"name": "clock"}},
        {"type": "function", "function": {"name": "weather", "parameters": parameters}}]);
    body["tool_choice"] = json!({"type": "function", "function": {"name": "weather"}});
    let openai = post(&server, OPENAI, &body).await.json();
    let call = &openai["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (
            &call["function"]["name"],
            &openai["choices"][0]["finish_reason"]
        ),
        (&json!("weather"), &json!("tool_calls"))
    );
    let arguments: Value =
        serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert!(jsonschema::is_valid(&parameters, &arguments));

    let mut body = question(ANTHROPIC, "Weather?", false);
    body["tools"] = json!([{"name": "clock", "input_schema": {"type": "object"}}, {"name": "weather", "input_schema": parameters}]);
    body["tool_choice"] = json!({"type": "tool", "name": "weather"});
    let anthropic = post(&server, ANTHROPIC, &body).await.json();
    assert_eq!(
        (&anthropic["content"][0]["input"], &anthropic["stop_reason"]),
        (&arguments, &json!("tool_use"))
    );
    body["stream"] = true.into();
    let told = folded(ANTHROPIC, &post(&server, ANTHROPIC, &body).await.body);
    assert_eq!(
        serde_json::from_str::<Value>(&told.arguments[0]).unwrap(),
        arguments
    );
}

#[tokio::test]
async fn accuracy_is_the_share_of_common_answers() {
    let mut right = 0;
    for number in 0..400 {
        let request = ChatRequest::prompt(format!("What is {number} + 1?"));
        let config = SimConfig {
            accuracy: 0.75,
            ..SimConfig::default()
        };
        let text = answer(&model(config), request).await.text;
        right += u32::from(text.ends_with(&format!("#### {}", number + 1)));
    }
    // 0.75 of 400 with a deviation of 8.7, and the dice are fixed
    assert!((270..=330).contains(&right), "{right}");
}

#[tokio::test]
async fn a_fault_strikes_attempts_and_not_prompts() {
    let fail = vec!["500=50%".parse().unwrap()];
    let config = SimConfig {
        fail,
        ..SimConfig::default()
    };
    let outcomes = async || {
        let model = model(config.clone());
        let mut outcomes = Vec::new();
        for prompt in 0..50 {
            for _ in 0..4 {
                outcomes.push(
                    model
                        .call(ChatRequest::prompt(prompt.to_string()))
                        .await
                        .is_ok(),
                );
            }
        }
        outcomes
    };
    let first = outcomes().await;
    assert_eq!(first, outcomes().await);
    let again = first
        .chunks(4)
        .filter(|tries| !tries[0] && tries[1..].contains(&true))
        .count();
    assert!(again > 15, "{again}");
    let fine = first.iter().filter(|fine| **fine).count();
    assert!((75..=125).contains(&fine), "{fine}");
}

#[tokio::test]
async fn a_refusal_and_a_cut_come_with_a_schema_too() {
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object",
        "properties": {"a": {"type": "string", "minLength": 40}}, "required": ["a"]}}});
    let ask = async |kind: &str| {
        let fail = vec![format!("{kind}=1").parse().unwrap()];
        let model = model(SimConfig {
            fail,
            ..SimConfig::default()
        });
        let request = ChatRequest::new(vec![Message::text(Role::User, "x")]);
        answer(
            &model,
            request.with_param("response_format", schema.clone()),
        )
        .await
    };
    let refused = ask("refusal").await;
    assert!(refused.is_refusal() && refused.text.is_empty());
    let cut = ask("length").await;
    assert_eq!(cut.finish_reason, FinishReason::Length);
    assert!(serde_json::from_str::<Value>(&cut.text).is_err());
}

#[tokio::test]
async fn an_answer_that_was_begun_is_gone_on_with() {
    let server = serve(SimConfig::default()).await;
    let asked = question(ANTHROPIC, QUESTIONS[2], false);
    let whole = post(&server, ANTHROPIC, &asked).await.json();
    let text = whole["content"][0]["text"].as_str().unwrap();
    let at = text.find(' ').unwrap();
    let begun = |turn: &str| {
        let mut asked = asked.clone();
        let messages = asked["messages"].as_array_mut().unwrap();
        messages.push(json!({"role": "assistant", "content": turn}));
        asked
    };
    let rest = post(&server, ANTHROPIC, &begun(&text[..at])).await.json();
    assert_eq!(rest["content"][0]["text"], text[at..]);
    let tokens = |answer: &Value, name: &str| answer["usage"][name].as_u64().unwrap();
    assert!(tokens(&rest, "input_tokens") > tokens(&whole, "input_tokens"));
    assert!(tokens(&rest, "output_tokens") < tokens(&whole, "output_tokens"));

    let refused = post(&server, ANTHROPIC, &begun(&text[..=at])).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("trailing whitespace"));
    // the other wire takes it for an earlier turn
    let mut earlier = question(OPENAI, QUESTIONS[2], false);
    let messages = earlier["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": &text[..at]}));
    let anew = post(&server, OPENAI, &earlier).await.json();
    assert_ne!(anew["choices"][0]["message"]["content"], text[at..]);
}
