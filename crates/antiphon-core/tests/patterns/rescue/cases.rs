//! One break at a time.

use std::sync::Arc;

use antiphon_core::{
    ChatRequest, ErrorKind, Model, Schema, SharedModel, Spent, Usage,
    chat::{Delivery, Role},
    patterns::{Fallback, Rescue, RescueMode},
};
use serde_json::json;

use super::script::{Fate, Part, Read, Script, Scripted, text};
use crate::members::{ScriptedMember, delta, failure, last_delta, shared, streamed};

fn streaming() -> ChatRequest {
    ChatRequest {
        delivery: Delivery::Streamed,
        ..ChatRequest::prompt("x")
    }
}

fn chain(links: &[&Arc<Scripted>], mode: RescueMode) -> Fallback {
    let links = links.iter().map(|link| -> SharedModel { (*link).clone() });
    let chain = Fallback::new("chain", links.collect()).unwrap();
    chain.with_rescue_mode(mode)
}

fn verified(links: &[&Arc<Scripted>]) -> Read {
    Read::of(&chain(links, RescueMode::Verify), streaming())
}

fn says(name: &str, words: &str, fate: Fate) -> Arc<Scripted> {
    Scripted::new(name, vec![Script::new(text(words), fate)])
}

#[test]
fn the_next_link_goes_on_in_its_own_name_and_tells_what_it_took() {
    let first = says("first", "Hello, world", Fate::Breaks(3));
    let other = says("other", "Hello there", Fate::Whole);
    let same = says("same", "Hello, world", Fate::Whole);
    let read = verified(&[&first, &other, &same]);
    assert_eq!(
        (read.text().as_str(), read.is_whole()),
        ("Hello, world", true)
    );

    let (before, after) = read.deltas.split_at(3);
    assert!(before.iter().all(|delta| !delta.frame.is_empty()));
    assert!(
        after
            .iter()
            .all(|delta| delta.frame.is_empty() && delta.raw.is_empty())
    );
    let named: Vec<_> = read.deltas.iter().filter_map(|d| d.model.clone()).collect();
    assert_eq!(named, ["same", "same-dated"]);
    let last = read.deltas.last().unwrap();
    let told = Usage {
        input_tokens: 10,
        output_tokens: 5,
        ..Usage::default()
    };
    // the break and the answer that differed may have been billed
    let spent = Spent::lost() + Spent::lost() + Spent::answer(Some(told));
    assert_eq!((last.spent, last.usage), (Some(spent), Some(told)));
}

#[test]
fn what_was_whole_but_for_its_end_is_ended() {
    let first = says("first", "done", Fate::Stops(2));
    let same = says("same", "done", Fate::Whole);
    let read = verified(&[&first, &same]);
    assert_eq!((read.text().as_str(), read.is_whole()), ("done", true));
}

#[test]
fn a_model_that_is_alone_is_asked_again_twice() {
    let script = |words, fate| Script::new(text(words), fate);
    let model = Scripted::new(
        "one",
        vec![
            script("abcdef", Fate::Breaks(1)),
            script("abcdef", Fate::Breaks(2)),
            script("abcdef", Fate::Whole),
        ],
    );
    let rescue = Rescue::new(model.clone(), RescueMode::Verify);
    let read = Read::of(&rescue, streaming());
    assert_eq!((read.text().as_str(), read.is_whole()), ("abcdef", true));

    let model = Scripted::new("one", vec![script("abcdef", Fate::Breaks(1))]);
    let read = Read::of(&Rescue::new(model.clone(), RescueMode::Verify), streaming());
    assert_eq!((read.text().as_str(), model.requests().len()), ("ab", 3));
}

#[test]
fn where_nobody_goes_on_the_error_says_so() {
    let first = says("first", "naïve answer", Fate::Breaks(2));
    let other = says("other", "nice answer", Fate::Whole);
    let down = says("down", "", Fate::Fails(ErrorKind::Overloaded));
    let short = says("short", "na", Fate::Whole);
    let read = verified(&[&first, &other, &down, &short]);
    let error = read.error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(
        error.message(),
        "the answer broke after 4 characters (it broke), and no model continued it: \
         other: it answers something else; down: overloaded: it failed; \
         short: its answer is another one; first: connection: it broke"
    );
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "it broke");
    assert_eq!((error.attempts(), error.spent().lost_attempts()), (5, 4));
    assert_eq!(error.spent().answers(), 1);
}

#[test]
fn a_fault_of_the_request_ends_the_asking() {
    let first = says("first", "some words", Fate::Breaks(2));
    let refuses = says("refuses", "", Fate::Fails(ErrorKind::Refused));
    let unused = says("unused", "some words", Fate::Whole);
    let read = verified(&[&first, &refuses, &unused]);
    assert!(
        read.error
            .unwrap()
            .message()
            .ends_with("refuses: refused: it failed")
    );
    assert_eq!(unused.requests().len(), 0);
}

#[test]
fn only_what_can_be_compared_is_rescued() {
    let first = says("first", "some words", Fate::Breaks(2));
    let same = says("same", "some words", Fate::Whole);
    let several = streaming().with_param("n", json!(2));
    for (mode, request) in [
        (RescueMode::Verify, several),
        (RescueMode::Off, streaming()),
    ] {
        let read = Read::of(&chain(&[&first, &same], mode), request);
        assert_eq!(read.error.unwrap().message(), "it broke");
    }
    assert_eq!(same.requests().len(), 0);
}

fn call(name: &str, arguments: &str) -> Part {
    Part::Call(name.to_owned(), arguments.to_owned())
}

#[test]
fn tool_calls_go_on_under_the_ids_that_were_told() {
    let parts = |city: &str| {
        vec![
            Part::Text("Let me see.".to_owned()),
            call("weather", &format!("{{\"city\":\"{city}\"}}")),
            call("time", "{}"),
        ]
    };
    let first = Scripted::new("first", vec![Script::new(parts("Bern"), Fate::Breaks(12))]);
    let other = Scripted::new("other", vec![Script::new(parts("Basel"), Fate::Whole)]);
    let same = Scripted::new("same", vec![Script::new(parts("Bern"), Fate::Whole)]);
    let read = verified(&[&first, &other, &same]);
    let (told, ids) = read.parts();
    assert_eq!((told, read.is_whole()), (parts("Bern"), true));
    assert_eq!(ids, ["first-0", "same-1"]);

    let renamed = vec![call("wether", "{\"city\":\"Bern\"}")];
    let begun = Scripted::new(
        "begun",
        vec![Script::new(vec![parts("Bern")[1].clone()], Fate::Breaks(2))],
    );
    let other = Scripted::new("other", vec![Script::new(renamed, Fate::Whole)]);
    let read = verified(&[&begun, &other]);
    assert!(read.error.is_some() && !read.is_whole());
}

#[tokio::test(start_paused = true)]
async fn thoughts_are_not_compared_and_not_told_twice() {
    let thought = |words: &str| antiphon_core::ChatDelta {
        reasoning: Some(words.to_owned()),
        ..Default::default()
    };
    let broken = || Err(failure(ErrorKind::Connection));
    let first = ScriptedMember::new("test/first", 0, move |_| {
        streamed("test/first", vec![(0, Ok(thought("hm"))), (0, broken())])
    });
    let second = ScriptedMember::new("test/second", 0, move |_| {
        let said = [thought("well"), delta("yes"), last_delta()];
        streamed("test/second", said.map(|delta| (0, Ok(delta))).into())
    });
    let chain = Fallback::new("chain", shared([&first, &second])).unwrap();
    let chain = chain.with_rescue_mode(RescueMode::Verify);
    let reply = chain
        .call(streaming())
        .await
        .unwrap()
        .whole()
        .await
        .unwrap();
    assert_eq!(reply.text(), "yes");
    assert_eq!(reply.answer.reasoning.as_deref(), Some("hm"));
    assert_eq!(reply.answer.model.as_deref(), Some("test/second"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_asks_nobody() {
    use futures_util::StreamExt;
    let first = ScriptedMember::new("test/first", 0, |_| {
        let said = vec![
            (0, Ok(delta("a"))),
            (5, Err(failure(ErrorKind::Connection))),
        ];
        streamed("test/first", said)
    });
    let slow = ScriptedMember::says("test/slow", 3600, "ab");
    let chain = Fallback::new("chain", shared([&first, &slow])).unwrap();
    let chain = chain.with_rescue_mode(RescueMode::Verify);
    let response = chain.call(streaming()).await.unwrap();
    let antiphon_core::Body::Stream(mut deltas) = response.body else {
        panic!("no stream");
    };
    assert_eq!(deltas.next().await.unwrap().unwrap().text, "a");
    let wait = std::time::Duration::from_secs(60);
    assert!(tokio::time::timeout(wait, deltas.next()).await.is_err());
    assert_eq!((slow.started(), slow.under_way()), (1, 1));
    drop(deltas);
    assert_eq!(slow.under_way(), 0);
}

/// A stream that broke after "one, two," and a space, and a model that continues.
fn continued(continuation: &[&str], request: ChatRequest) -> (Read, Vec<ChatRequest>) {
    let first = Script {
        parts: text("one, two, three"),
        sizes: vec![10],
        fate: Fate::Breaks(1),
    };
    let first = Scripted::new("first", vec![first]);
    let scripts = continuation
        .iter()
        .map(|words| Script::new(text(words), Fate::Whole));
    let next = Scripted::continuing("next", scripts.collect());
    let read = Read::of(&chain(&[&first, &next], RescueMode::Verify), request);
    (read, next.requests())
}

#[test]
fn a_model_that_continues_is_given_the_begun_answer() {
    let capped = streaming().with_max_tokens(50);
    let (read, requests) = continued(&[" three"], capped);
    assert_eq!(
        (read.text().as_str(), read.is_whole()),
        ("one, two, three", true)
    );
    let last = requests[0].messages.last().unwrap();
    let turn = serde_json::to_value(last).unwrap();
    // without the white space at its end, which the continuation had to bring
    assert_eq!(
        (&last.role, &turn["content"]),
        (&Role::Assistant, &json!("one, two,"))
    );
    assert_eq!(requests[0].max_output_tokens(), Some(48));
}

#[test]
fn a_continuation_that_may_be_the_answer_once_more_is_not_taken() {
    let whole = "one, two, three";
    for doubtful in [whole, "one", "three", ""] {
        let (read, requests) = continued(&[doubtful, whole], streaming());
        assert_eq!(
            (read.text().as_str(), read.is_whole()),
            (whole, true),
            "{doubtful}"
        );
        let turns: Vec<usize> = requests.iter().map(|asked| asked.messages.len()).collect();
        assert_eq!(turns, [2, 1], "asked again with the caller's own request");
    }
}

#[test]
fn what_must_not_be_continued_is_compared() {
    let schema = Schema::new(json!({"type": "string"})).unwrap();
    let mut with_schema = streaming().with_schema(schema);
    with_schema.is_unjudged = true;
    let begun = streaming().with_message(antiphon_core::Message::assistant("Well,"));
    for request in [with_schema, begun, streaming().with_max_tokens(2)] {
        let turns = request.messages.len();
        let (read, requests) = continued(&["one, two, three"], request);
        assert!(read.is_whole() && requests.len() == 1);
        assert_eq!(requests[0].messages.len(), turns);
    }
}

#[test]
fn a_buffer_keeps_the_stream_as_it_came() {
    let script = |words, fate| Script::new(text(words), fate);
    let model = Scripted::new(
        "one",
        vec![
            script("abcdef", Fate::Breaks(1)),
            script("uvw", Fate::Whole),
        ],
    );
    let read = Read::of(&Rescue::new(model.clone(), RescueMode::Buffer), streaming());
    assert_eq!((read.text().as_str(), read.is_whole()), ("uvw", true));
    assert_eq!(&read.deltas[0].frame[..], b"one 0");

    let model = Scripted::new("one", vec![script("abcdef", Fate::Breaks(1))]);
    let read = Read::of(&Rescue::new(model.clone(), RescueMode::Buffer), streaming());
    let error = read.error.unwrap();
    assert_eq!((read.deltas.len(), error.attempts()), (0, 2));
    assert_eq!(error.spent().lost_attempts(), 2);
}

#[test]
fn modes_have_names() {
    let named = ["off", "verify", "buffer", "Buffer"].map(RescueMode::named);
    use RescueMode::{Buffer, Off, Verify};
    assert_eq!(named, [Some(Off), Some(Verify), Some(Buffer), None]);
}
