//! What a provider of the caller's own wire said reaches the caller byte for byte.

use antiphon_core::{ChatDelta, Head};
use antiphon_providers::fronts::Told;
use bytes::Bytes;

use super::{decoded, front_of, head, pieces, reply, text, told, writer, written};

/// Odd spacing, comments, every line end, a field nobody knows, several data lines, text that looks like an end mark.
const OPENAI: &str = concat!(
    ": OPENROUTER PROCESSING\r\n\r\n",
    "data: {\"id\":\"chatcmpl-9\",\"object\":\"chat.completion.chunk\",\"created\":3,\"model\":\"gpt-x\",",
    "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    "data:{ \"choices\" : [ {\"index\":0, \"delta\":{\"content\":\"H\\u00e9 \\ndata: [DONE]\"}} ], \"x\" : 1.0 }   \r\n\r\n",
    "event: chunk\nid: 7\n: mid\ndata: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"llo\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n",
    "data: [DONE]\n\n: bye\n\n",
);

const ANTHROPIC: &str = concat!(
    "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_9\",\"type\":\"message\",\"role\":\"assistant\",",
    "\"model\":\"claude-x\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":4,\"output_tokens\":1}}      }\r\n\r\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    ": keep-alive\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}  }\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":3}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSES: &str = include_str!("../fixtures/openai-responses-stream.txt");

fn samples() -> [(&'static str, &'static str); 3] {
    [
        ("openai", OPENAI),
        ("anthropic", ANTHROPIC),
        ("openai-responses", RESPONSES),
    ]
}

#[test]
fn streams_byte_for_byte() {
    for (wire, stream) in samples() {
        for line_end in ["\n", "\r", "\r\n"] {
            let stream = stream.replace("\r\n", "\n").replace('\n', line_end);
            let passed = written(
                writer(wire, &head(Some(wire))),
                pieces(wire, stream.as_bytes()),
            );
            assert_eq!(passed, stream, "{wire}");
        }
        let passed = written(
            writer(wire, &head(Some(wire))),
            pieces(wire, stream.as_bytes()),
        );
        assert_eq!(passed, stream);
    }
}

#[test]
fn bodies_byte_for_byte() {
    let bodies = [
        (
            "openai",
            "{ \"choices\": [\n {\"message\": {\"content\": \"a\"}, \"x\": 1.0}\n] }\r\n",
        ),
        (
            "anthropic",
            "{\"content\": [\n{\"type\":\"text\",\"text\":\"a\"}],\"stop_reason\":\"end_turn\"}\n",
        ),
        (
            "openai-responses",
            " {\"status\":\"completed\",\n\"output\":[] ,\"x\":1e2}",
        ),
    ];
    for (wire, body) in bodies {
        let answer = decoded(wire, Bytes::from_static(body.as_bytes()));
        let told = front_of(wire).body(&reply(Some(wire), answer), &told());
        assert_eq!(told, body);
    }
}

/// What a caller gets who did not ask for usage.
fn without_usage(stream: &str) -> String {
    let told = Told {
        wants_usage: false,
        ..told()
    };
    let writer = front_of("openai").writer(&head(Some("openai")), told);
    written(writer, pieces("openai", stream.as_bytes()))
}

#[test]
fn usage_that_nobody_asked_for_is_cut_and_nothing_else() {
    let chunk = |rest: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"a \\\"usage\\\":null\"}}}}]{rest}}}\n\n"
        )
    };
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let done = "data: [DONE]\n\n";
    let alone =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
    let spaced =
        "data: {\"id\":\"x\", \"choices\": [ ], \"usage\" : { \"prompt_tokens\": 1} }\r\n\r\n";
    // Azure begins with a chunk without choices; servers that always tell usage tell it with the last choice
    let azure = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
    let with_choice =
        "data: {\"choices\":[{\"index\":0,\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n";
    let cases = [
        (vec![chunk(""), end.into(), alone.into(), done.into()], vec![chunk(""), end.into(), done.into()]),
        (vec![chunk(",\"usage\":null"), end.into(), spaced.into(), done.into()], vec![chunk(""), end.into(), done.into()]),
        (vec![chunk(" , \"usage\" : null , \"x\" : 1.0 "), end.into()], vec![chunk("  , \"x\" : 1.0 "), end.into(), done.into()]),
        (vec![azure.into(), chunk(""), with_choice.into(), end.into(), done.into()], vec![azure.into(), chunk(""), with_choice.into(), end.into(), done.into()]),
        (vec![chunk(""), end.into(), format!(": a\n\n: b\n{alone}: c\n\n{done}")], vec![chunk(""), end.into(), format!(": a\n\n: b\n: c\n\n{done}")]),
        (
            vec!["data: {\"usage\":null,\ndata: \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".into(), done.into()],
            vec!["data: {\ndata: \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".into(), done.into()],
        ),
    ];
    for (came, expected) in cases {
        let (came, expected): (String, String) = (came.concat(), expected.concat());
        assert_eq!(without_usage(&came), expected);
    }
}

#[test]
fn who_asked_for_usage_gets_it() {
    let stream = written(
        writer("openai", &head(Some("openai"))),
        pieces("openai", OPENAI.as_bytes()),
    );
    assert!(stream.contains("prompt_tokens"));
}

#[test]
fn an_end_mark_that_is_missing_is_added() {
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let done = "data: [DONE]\n\n";
    // as it came, what follows the finish reason, what the caller gets
    let cases = [
        ("", done.to_owned()),
        (": bye\n\n", format!(": bye\n\n{done}")),
        ("data: [DONE]", done.to_owned()),
        ("data: [DONE]\n", done.to_owned()),
        ("data: {\"choices\":[],\"usa", done.to_owned()),
        (": bye\n: by", format!(": bye\n{done}")),
    ];
    for (rest, expected) in cases {
        let stream = format!("{end}{rest}");
        let passed = written(
            writer("openai", &head(Some("openai"))),
            pieces("openai", stream.as_bytes()),
        );
        assert_eq!(passed, format!("{end}{expected}"), "{rest:?}");
    }
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let cut = ANTHROPIC.replace(stop, "");
    let passed = written(
        writer("anthropic", &head(Some("anthropic"))),
        pieces("anthropic", cut.as_bytes()),
    );
    assert_eq!(passed, ANTHROPIC);
}

#[test]
fn frames_of_another_wire_are_not_passed_on() {
    for (theirs, stream) in samples() {
        for (ours, _) in samples().into_iter().filter(|(ours, _)| *ours != theirs) {
            let told = written(
                writer(ours, &head(Some(theirs))),
                pieces(theirs, stream.as_bytes()),
            );
            assert!(!told.contains("keep-alive") && !told.contains("OPENROUTER"));
            let answer = super::folded(ours, &told).unwrap();
            let expected = super::folded(theirs, stream).unwrap();
            assert_eq!((answer.text, answer.model), (expected.text, expected.model));
            assert_eq!(answer.spent, expected.spent);
        }
    }
}

#[test]
fn what_the_meter_adds_at_the_end_is_not_written() {
    let mut deltas = pieces("openai", OPENAI.as_bytes());
    deltas.push(ChatDelta {
        spent: Some(antiphon_core::Spent::default()),
        ..ChatDelta::default()
    });
    let head: Head = head(Some("openai"));
    assert_eq!(written(writer("openai", &head), deltas), OPENAI);
    assert!(text(&writer("openai", &head).push(ChatDelta::default())).is_empty());
}
