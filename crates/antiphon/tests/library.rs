//! The library as programs use it, against the simulated provider.

#![allow(missing_docs, reason = "a test")]

use std::{
    collections::HashSet,
    fs,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use antiphon::{
    Config, Session, batch, batch_objects,
    core::{
        ChatRequest, ErrorKind, FinishReason, Message, Reply, SharedModel, SystemClock,
        chat::Content,
        patterns::{Conversation, FanOut, GroupedBatch, Grouping, Partial, Variations, multiplex},
    },
    generate_object, generate_text,
    session::SessionOptions,
    stream_text,
};
use antiphon_sim::{SimConfig, SimModel, SimServer, Simulator};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
struct Review {
    /// Between 1 and 10.
    #[schemars(range(min = 1, max = 10))]
    score: u8,
    /// Absent where there is none.
    remark: Option<String>,
}

/// A shape that both wires can hold a model to: their strict forms know no ranges.
#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
struct Label {
    label: String,
    sure: bool,
    remark: Option<String>,
}

/// A session of this configuration alone.
fn session(toml: &str) -> Session {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("antiphon.toml"), toml).unwrap();
    // no configuration of the user's
    let home = folder.path().to_str().unwrap().to_owned();
    let env = move |name: &str| (name == "XDG_CONFIG_HOME").then(|| home.clone());
    let config = Config::load(folder.path(), None, &env).unwrap();
    Session::new(config, SessionOptions::default(), &env, Default::default())
}

fn sim(settings: &str) -> SharedModel {
    let session = session(&format!("[providers.sim]\n{settings}\n"));
    session.model("sim/demo").unwrap()
}

fn input_tokens(reply: &Reply) -> u64 {
    reply.usage().unwrap().input_tokens
}

#[tokio::test]
async fn a_text_is_one_line_away() {
    let model = Session::from_env().unwrap().model("sim/demo").unwrap();
    let reply = generate_text(&model, "What is 17 + 25?").await.unwrap();
    assert!(reply.to_string().starts_with("(simulated)"));
    assert!(reply.usage().unwrap().output_tokens > 0);
    assert_eq!(reply.head.attempts, 1);
    let unknown = Session::from_env().unwrap().model("opnai/x").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::ModelNotFound);
    assert!(unknown.message().contains("openai"), "{unknown}");
}

#[tokio::test]
async fn an_object_is_a_value_of_its_type() {
    let model = sim("");
    let object = generate_object::<Review>(&model, "Review: it broke");
    let object = object.await.unwrap();
    assert!((1..=10).contains(&object.value.score));
    let text: Value = serde_json::from_str(object.reply.text()).unwrap();
    assert_eq!(text["score"], object.value.score);
}

#[tokio::test]
async fn refusal_cut_off_and_invalid_json_are_different_errors() {
    let ask = |model: SharedModel, request: ChatRequest| async move {
        let asked = generate_object::<Review>(&model, request).await;
        asked.unwrap_err()
    };
    let question = || ChatRequest::from("Review: it broke");
    let refused = ask(sim("fail = [\"refusal=1\"]"), question()).await;
    assert_eq!(
        (refused.kind(), refused.attempts()),
        (ErrorKind::Refused, 1)
    );
    let cut = ask(sim(""), question().with_max_tokens(1)).await;
    assert_eq!((cut.kind(), cut.attempts()), (ErrorKind::CutOff, 1));
    // the answer ends in order in the middle of its JSON
    let stopped = question().with_param("stop", json!([":"]));
    let invalid = ask(sim(""), stopped).await;
    assert_eq!(
        (invalid.kind(), invalid.attempts()),
        (ErrorKind::OffSchema, 3)
    );
    assert!(invalid.message().contains("not valid JSON"), "{invalid}");
    assert!(
        invalid.usage().unwrap().output_tokens > 0,
        "it was paid for"
    );
}

#[tokio::test]
async fn without_a_schema_a_refusal_and_a_cut_are_answers() {
    let refusing = sim("fail = [\"refusal=1\"]");
    let declined = generate_text(&refusing, "x").await.unwrap();
    assert!(declined.answer.is_refusal());
    let short = ChatRequest::from("Tell me about rivers").with_max_tokens(1);
    let cut = generate_text(&sim(""), short).await.unwrap();
    assert_eq!(cut.answer.finish_reason, FinishReason::Length);
}

#[tokio::test]
async fn tools_and_images_reach_the_model() {
    let model = sim("");
    let plain = ChatRequest::from("What is this?");
    let blind = generate_text(&model, plain.clone()).await.unwrap();
    let pictured = plain.clone().with_image("image/png", b"png");
    let seeing = generate_text(&model, pictured).await.unwrap();
    assert_eq!(
        input_tokens(&seeing),
        input_tokens(&blind) + 85,
        "an image is 85 tokens"
    );
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tooled = plain
        .with_tool("weather", "tells the weather", parameters)
        .with_param("tool_choice", json!("required"));
    let reply = generate_text(&model, tooled.clone()).await.unwrap();
    assert_eq!(reply.answer.finish_reason, FinishReason::ToolCalls);
    let call = &reply.answer.tool_calls[0];
    assert_eq!(call.name, "weather");
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
    assert!(arguments["city"].is_string());
    let error = generate_object::<Review>(&model, tooled).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OffSchema);
    assert!(error.message().contains("weather"), "{error}");
}

#[tokio::test]
async fn a_stream_is_the_same_answer_in_pieces() {
    let model = sim("");
    let whole = generate_text(&model, "Tell me about rivers").await.unwrap();
    let mut stream = stream_text(&model, "Tell me about rivers");
    let (mut text, mut index, mut usage) = (String::new(), 0, None);
    while let Some(delta) = stream.next().await {
        let delta = delta.unwrap();
        assert_eq!(delta.index, index);
        assert!(usage.is_none(), "usage comes with the last piece");
        usage = delta.usage();
        text.push_str(&delta.text);
        index += 1;
    }
    assert!(index > 3);
    assert_eq!((text.as_str(), usage), (whole.text(), whole.usage()));
    let mut failing = stream_text(&sim("fail = [\"400=1\"]"), "x");
    let error = failing.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
    assert!(failing.next().await.is_none());
}

#[tokio::test]
async fn a_stream_of_a_value_comes_in_one_piece() {
    let request = ChatRequest::from("Review: fine").with_type::<Review>();
    let bare: SharedModel = Arc::new(SimModel::new(
        "sim/demo",
        SimConfig::default(),
        SystemClock::shared(),
    ));
    for model in [bare, sim("")] {
        let mut stream = stream_text(&model, request.clone().unwrap());
        let value = stream.next().await.unwrap().unwrap();
        assert!(serde_json::from_str::<Review>(&value.text).is_ok());
        let last = stream.next().await.unwrap().unwrap();
        assert_eq!((last.index, last.text.as_str()), (1, ""));
        assert!(last.usage().is_some() && stream.next().await.is_none());
    }
}

#[tokio::test]
async fn parameters_of_a_configured_model_lie_beneath_those_of_the_request() {
    let session = session("[models.short]\nuse = \"sim/demo\"\nparams = { max_tokens = 1 }\n");
    let model = session.model("short").unwrap();
    let question = "Tell me about rivers";
    let short = generate_text(&model, question).await.unwrap();
    assert_eq!(short.answer.finish_reason, FinishReason::Length);
    let own = ChatRequest::from(question).with_max_tokens(5000);
    let long = generate_text(&model, own).await.unwrap();
    assert_eq!(long.answer.finish_reason, FinishReason::Stop);
    let streamed = stream_text(&model, question).whole().await.unwrap();
    assert_eq!(streamed.text(), short.text());
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_a_session_adds_up() {
    let model = sim("latency = \"1s\"\nfail = [\"400=20%\"]\naccuracy = 1.0\nseed = 3");
    let told = Arc::new(Mutex::new(0));
    let count = Arc::clone(&told);
    let questions = (0..50).map(|number| format!("What is {number} + 1?"));
    let mut result = batch(model, questions)
        .max_concurrent(10)
        .on_progress(move |_, _, _| *count.lock().unwrap() += 1)
        .run()
        .await;
    assert_eq!((*told.lock().unwrap(), result.outcomes.len()), (50, 50));
    assert!(result.failed() > 0 && result.succeeded() > 20);
    let summary = result.summary();
    assert_eq!(summary.errors_by_code["bad_request"], result.failed());
    let p50 = summary.latency_ms.p50.unwrap();
    assert!((p50 / 1000.0 - 1.0).abs() < 0.01, "{summary:?}");
    for _ in 0..20 {
        result = result.retry_failed().await;
    }
    assert_eq!(result.failed(), 0);
    for (index, reply) in result.successes() {
        let sum = (index + 1).to_string();
        assert!(reply.text().contains(&sum), "{index}: {reply}");
    }
}

#[tokio::test]
async fn a_batch_may_be_of_values() {
    let reviews = ["a", "b"].map(|name| format!("Review {name}"));
    let asked = batch_objects::<Review>(sim(""), reviews).unwrap();
    let result = asked.run().await;
    assert_eq!(result.success_rate(), 1.0);
    let mut objects = result.successes().map(|(_, object)| &object.value);
    assert!(objects.all(|review| (1..=10).contains(&review.score)));
}

#[tokio::test]
async fn the_other_patterns_take_models_of_a_session() {
    let model = sim("");
    let views = FanOut::new(model.clone(), "The plan is to sail.")
        .with_view("technical", "What can break?")
        .with_view("user", "Who wants this?")
        .run()
        .await;
    assert_eq!(views.result.succeeded(), 2);
    let variations = Variations::new(model.clone(), "Tell me about cats", 3);
    let outcomes = variations.run().await;
    let texts = outcomes
        .iter()
        .map(|outcome| outcome.result.as_ref().unwrap().text());
    assert_eq!(texts.collect::<HashSet<_>>().len(), 3);
    let mut talk = Conversation::new(model.clone(), Vec::new());
    talk.say("What is 1 + 1?").await.unwrap();
    talk.say("And 2 + 2?").await.unwrap();
    assert_eq!(talk.history().messages.len(), 4);
    let mut finished = 0;
    let mut pieces = multiplex(model, ["a", "b", "c"], NonZeroUsize::new(2).unwrap());
    while let Some((_, piece)) = pieces.next().await {
        finished += usize::from(matches!(piece, Partial::Finished(_)));
    }
    assert_eq!(finished, 3);
}

#[tokio::test]
async fn everything_may_be_spawned() {
    let model = sim("");
    let other = Arc::clone(&model);
    let single = tokio::spawn(async move {
        generate_object::<Review>(&other, "x".to_owned()).await?;
        stream_text(&other, "x").whole().await
    });
    let many = tokio::spawn(batch(model.clone(), ["x"]).run());
    let views = tokio::spawn(FanOut::new(model.clone(), "x").with_view("v", "?").run());
    let several = tokio::spawn(Variations::new(model.clone(), "x", 2).run());
    let grouping = Grouping::new(100, 2).with_token_budget(1000);
    let groups = GroupedBatch::new(model.clone(), model, grouping);
    let groups = tokio::spawn(groups.run(["x", "y"]));
    assert!(single.await.unwrap().is_ok());
    assert_eq!(many.await.unwrap().retry_failed().await.succeeded(), 1);
    assert_eq!(views.await.unwrap().result.succeeded(), 1);
    assert_eq!(several.await.unwrap().len(), 2);
    assert_eq!(groups.await.unwrap().outcomes.len(), 2);
}

/// Over HTTP, in both wire formats: the dialects translate images, tools and schemas.
#[tokio::test]
async fn both_wires_carry_everything() {
    let simulator = Simulator::new(SimConfig::default(), SystemClock::shared());
    let address = "127.0.0.1:0".parse().unwrap();
    let server = SimServer::bind(address, simulator).await.unwrap();
    let url = server.url();
    tokio::spawn(server.run(std::future::pending()));
    let session = session(&format!(
        "[providers.o]\ndialect = \"openai\"\nbase_url = \"{url}/v1\"\n\
         [providers.a]\ndialect = \"anthropic\"\nbase_url = \"{url}\"\n"
    ));
    for name in ["o/demo", "a/demo"] {
        carries_everything(&session.model(name).unwrap()).await;
    }
}

async fn carries_everything(model: &SharedModel) {
    let name = model.name();
    let plain = ChatRequest::from("What is this?").with_system("You see.");
    let blind = generate_text(model, plain.clone()).await.unwrap();
    let pictured = plain.clone().with_image("image/png", b"png");
    let seeing = generate_text(model, pictured).await.unwrap();
    assert_eq!(input_tokens(&seeing), input_tokens(&blind) + 85, "{name}");
    let object = generate_object::<Label>(model, "Label: fine")
        .await
        .unwrap();
    let text: Value = serde_json::from_str(object.reply.text()).unwrap();
    assert_eq!(text["label"], object.value.label, "{name}");
    let tooled = plain
        .with_tool(
            "weather",
            "tells it",
            json!({"type": "object", "properties": {}}),
        )
        .with_param("tool_choice", json!("required"));
    let mut stream = stream_text(model, tooled.clone());
    let mut pieces = 0;
    while let Some(delta) = stream.next().await {
        pieces += delta.unwrap().tool_calls.len();
    }
    assert!(pieces > 0, "{name}");
    let mut talk = Conversation::new(Arc::clone(model), tooled);
    let called = talk.answer().await.unwrap();
    let id = &called.answer.tool_calls[0].id;
    talk.add(Message::tool_result(id, "sunny"));
    let again = talk.answer().await.unwrap();
    assert!(!again.answer.tool_calls.is_empty(), "{name}");
    let Some(Content::Text(result)) = &talk.history().messages[3].content else {
        panic!("{name}: the tool's result is a text");
    };
    assert_eq!(result, "sunny");
}
