//! Streams that somebody else goes on with, and streams that break.

use antiphon_core::{ChatDelta, Error, ErrorKind, FinishReason, Usage};
use serde_json::{Value, json};

use super::{events, folded, head, pieces, text, writer, written};

const OPENAI: &str = concat!(
    "data: {\"id\":\"chatcmpl-9\",\"object\":\"chat.completion.chunk\",\"created\":3,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data: {\"id\":\"chatcmpl-9\",\"created\":3,\"model\":\"gpt-x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi \"}}]}\n\n",
);

const ANTHROPIC: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_9\",\"model\":\"claude-x\",\"usage\":{\"input_tokens\":4,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi \"}}\n\n",
);

fn responses() -> String {
    let whole = include_str!("../fixtures/openai-responses-stream.txt");
    let cut = whole.find("event: response.output_text.done").unwrap();
    whole[..cut].to_owned()
}

fn begun() -> [(&'static str, String, &'static str); 3] {
    [
        ("openai", OPENAI.to_owned(), "Hi "),
        ("anthropic", ANTHROPIC.to_owned(), "Hi "),
        ("openai-responses", responses(), "Héllo"),
    ]
}

/// What another model goes on with.
fn rest() -> Vec<ChatDelta> {
    vec![
        ChatDelta {
            text: "there".to_owned(),
            model: Some("other".to_owned()),
            ..ChatDelta::default()
        },
        ChatDelta {
            finish_reason: Some(FinishReason::Stop),
            usage: Some(Usage {
                output_tokens: 2,
                ..Usage::default()
            }),
            ..ChatDelta::default()
        },
    ]
}

#[test]
fn another_model_goes_on_in_the_same_stream() {
    for (wire, stream, said) in begun() {
        let mut deltas = pieces(wire, stream.as_bytes());
        deltas.extend(rest());
        let whole = written(writer(wire, &head(Some(wire))), deltas);
        assert!(whole.starts_with(&stream), "{wire}");
        let answer = folded(wire, &whole).unwrap();
        assert_eq!(answer.text, format!("{said}there"), "{wire}");
        assert_eq!(answer.finish_reason, FinishReason::Stop);
        assert_eq!(answer.usage().unwrap().output_tokens, 2);
        let ends = ["[DONE]", "event: message_stop", "event: response.completed"];
        assert_eq!(
            ends.iter()
                .map(|end| whole.matches(end).count())
                .sum::<usize>(),
            1
        );
        let added = &whole[stream.len()..];
        assert!(
            !added.contains("\"role\":\"assistant\",\"content\":\"\"")
                && !added.contains("message_start")
        );
        let finishes =
            whole.matches("\"finish_reason\":\"stop\"").count() + whole.matches("end_turn").count();
        assert!(finishes <= 1, "{wire}");
    }
}

#[test]
fn the_stream_keeps_its_name_and_tells_who_goes_on() {
    let added = |wire, stream: &str| {
        let mut deltas = pieces(wire, stream.as_bytes());
        deltas.extend(rest());
        let whole = written(writer(wire, &head(Some(wire))), deltas);
        events(&whole[stream.len()..])
    };
    for (_, chunk) in added("openai", OPENAI)
        .iter()
        .filter(|(_, data)| !data.is_null())
    {
        assert_eq!(
            (&chunk["id"], &chunk["created"]),
            (&json!("chatcmpl-9"), &json!(3))
        );
        assert_eq!(chunk["model"], "other");
    }
    let names = |events: Vec<(String, Value)>| {
        events
            .into_iter()
            .map(|(name, data)| format!("{name} {}", data["index"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(added("anthropic", ANTHROPIC)),
        [
            "content_block_delta 1",
            "content_block_stop 1",
            "message_delta null",
            "message_stop null"
        ]
    );
    let events = added("openai-responses", &responses());
    let (name, delta) = &events[0];
    assert_eq!(name, "response.output_text.delta");
    assert_eq!(
        (&delta["sequence_number"], &delta["item_id"]),
        (&json!(11), &json!("msg_9"))
    );
    let (name, last) = events.last().unwrap();
    assert_eq!(name, "response.completed");
    assert_eq!(last["response"]["id"], "resp_9");
    assert_eq!(last["response"]["output"][0]["id"], "rs_9");
    assert_eq!(
        last["response"]["output"][1]["content"][0]["text"],
        "Héllothere"
    );
}

#[test]
fn a_block_that_nobody_can_go_on_with_is_ended() {
    let tool = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"s\"}}\n\n";
    let stop = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n";
    let stream = format!("{ANTHROPIC}{stop}{tool}");
    let mut deltas = pieces("anthropic", stream.as_bytes());
    deltas.extend(rest());
    let whole = written(writer("anthropic", &head(Some("anthropic"))), deltas);
    let added: Vec<_> = events(&whole[stream.len()..])
        .into_iter()
        .map(|(name, data)| (name, data["index"].clone()))
        .collect();
    assert_eq!(added[0], ("content_block_stop".to_owned(), json!(2)));
    assert_eq!(added[1], ("content_block_start".to_owned(), json!(3)));
}

#[test]
fn numbers_that_have_no_next_one_break_no_stream() {
    let most = u64::MAX.to_string();
    let last = |stream: &str, name: &str, number: &str| {
        let at = stream.rfind(name).unwrap() + name.len();
        let length = stream[at..].find([',', '}']).unwrap();
        format!("{}{number}{}", &stream[..at], &stream[at + length..])
    };
    let anthropic = ANTHROPIC.replace("\"index\":1", &format!("\"index\":{most}"));
    let number = last(&responses(), "\"sequence_number\":", &most);
    let place = responses().replace("\"output_index\":1", &format!("\"output_index\":{most}"));
    for (wire, stream) in [
        ("anthropic", anthropic),
        ("openai-responses", number),
        ("openai-responses", place),
    ] {
        assert!(stream.contains(&most), "{wire}: {stream}");
        let mut deltas = pieces(wire, stream.as_bytes());
        let call = antiphon_core::chat::ToolCallDelta {
            name: Some("look".to_owned()),
            ..Default::default()
        };
        deltas.push(ChatDelta {
            tool_calls: vec![call],
            ..ChatDelta::default()
        });
        deltas.extend(rest());
        let whole = written(writer(wire, &head(Some(wire))), deltas);
        assert!(whole.starts_with(&stream), "{wire}");
        assert!(whole[stream.len()..].contains("there"), "{wire}: {whole}");
    }
}

#[test]
fn a_stream_that_breaks_ends_with_an_error_and_nothing_else() {
    let error = Error::new(ErrorKind::Overloaded, "busy").with_status(529);
    let ends = [
        (
            "openai",
            "data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"param\":null,\"code\":\"overloaded\"}}\n\n",
        ),
        (
            "anthropic",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"},\"request_id\":\"r1\"}\n\n",
        ),
    ];
    for (wire, expected) in ends {
        let mut writer = writer(wire, &head(None));
        writer.push(rest().remove(0));
        assert_eq!(text(&writer.fail(&error)), expected);
        assert!(writer.finish().is_empty() && writer.fail(&error).is_empty());
        assert!(writer.push(rest().remove(0)).is_empty());
    }
    let mut writer = writer("openai-responses", &head(None));
    writer.push(rest().remove(0));
    let end = text(&writer.fail(&error));
    let names: Vec<_> = events(&end).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["error", "response.failed"]);
    assert_eq!(
        folded("openai-responses", &end).unwrap_err().message(),
        "busy"
    );
    assert!(writer.finish().is_empty());
}

#[test]
fn a_providers_own_error_within_a_stream_is_passed_on() {
    let own =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded","x":1}}"#;
    let error = Error::new(ErrorKind::Overloaded, "Overloaded")
        .with_status(200)
        .with_body(own.into());
    let told = text(&writer("anthropic", &head(Some("anthropic"))).fail(&error));
    assert_eq!(told, format!("event: error\ndata: {own}\n\n"));
    let told = text(&writer("openai", &head(Some("anthropic"))).fail(&error));
    assert!(told.contains(r#""message":"Overloaded""#) && !told.contains("\"x\""));
}
