use serde_json::json;

use super::*;

type Answered = oneshot::Receiver<Result<Value, Error>>;

fn ask(replay: &mut Replay, prompt: &str, sample: u32) -> Answered {
    let (answer, answered) = oneshot::channel();
    let content = json!({"type": "text", "text": prompt});
    replay.ask(Asked {
        params: json!({"messages": [{"role": "user", "content": content}], "maxTokens": 9}),
        sample,
        answer,
    });
    answered
}

fn words(answered: &mut Answered) -> Option<Result<String, ErrorKind>> {
    let result = answered.try_recv().ok()?;
    Some(match result {
        Ok(value) => Ok(value["text"].as_str().unwrap().to_owned()),
        Err(error) => Err(error.kind()),
    })
}

fn said(text: &str) -> Value {
    json!({"text": text})
}

/// The requests of a round and what is carried, each request answered by its number in the order of asking.
fn next(replay: &mut Replay) -> (Vec<String>, Carried) {
    let order: Vec<String> = replay.waiting.iter().map(|it| it.key.clone()).collect();
    let (requests, carried) = replay.round().unwrap();
    let keys = order.into_iter().filter(|key| requests.contains_key(key));
    (keys.collect(), carried)
}

#[test]
fn a_call_is_known_again_and_equal_ones_get_an_answer_each() {
    let mut first = Replay::default();
    let mut held: Vec<_> = [("a", 0), ("a", 1), ("a", 0), ("b", 0)]
        .into_iter()
        .map(|(prompt, sample)| ask(&mut first, prompt, sample))
        .collect();
    assert!(held.iter_mut().all(|answered| words(answered).is_none()));
    let (keys, carried) = next(&mut first);
    assert_eq!(keys.len(), 4);
    let responses = keys.iter().zip(["0", "1", "2", "3"]);
    let responses = responses
        .map(|(key, text)| (key.clone(), said(text)))
        .collect();
    let mut second = Replay::begin(carried, responses);
    // another order of different calls changes nothing
    let mut heard = |prompt, sample| {
        words(&mut ask(&mut second, prompt, sample))
            .unwrap()
            .unwrap()
    };
    assert_eq!(heard("b", 0), "3");
    assert_eq!(heard("a", 1), "1");
    assert_eq!(heard("a", 0), "0");
    assert_eq!(heard("a", 0), "2");
    assert!(
        words(&mut ask(&mut second, "a", 0)).is_none(),
        "no answer is given twice"
    );
}

#[test]
fn what_is_left_out_is_asked_again_and_then_declined() {
    let mut replay = Replay::default();
    let _first = ask(&mut replay, "a", 0);
    let (keys, carried) = next(&mut replay);
    let mut replay = Replay::begin(carried, InputResponses::new());
    let mut second = ask(&mut replay, "a", 0);
    assert_eq!(words(&mut second), None);
    let (again, carried) = next(&mut replay);
    assert_eq!(again, keys);
    let mut replay = Replay::begin(carried, InputResponses::new());
    assert_eq!(
        words(&mut ask(&mut replay, "a", 0)),
        Some(Err(ErrorKind::Rejected))
    );
}

#[test]
fn responses_to_what_nobody_asked_are_passed_over() {
    let mut replay = Replay::default();
    let _held = ask(&mut replay, "a", 0);
    let (keys, carried) = next(&mut replay);
    let responses = InputResponses::from([(keys[0].clone(), said("4"))]);
    let mut replay = Replay::begin(carried, responses);
    assert_eq!(
        words(&mut ask(&mut replay, "a", 0)),
        Some(Ok("4".to_owned()))
    );
    let _held = ask(&mut replay, "b", 0);
    let (asked, carried) = next(&mut replay);
    // neither an earlier answer nor one of a later round can be put in
    let stranger = asked[0].replace("-0", "-1");
    let responses = InputResponses::from([
        (keys[0].clone(), said("5")),
        (asked[0].clone(), said("6")),
        (stranger, said("7")),
    ]);
    let mut replay = Replay::begin(carried, responses);
    assert_eq!(
        words(&mut ask(&mut replay, "a", 0)),
        Some(Ok("4".to_owned()))
    );
    assert_eq!(
        words(&mut ask(&mut replay, "b", 0)),
        Some(Ok("6".to_owned()))
    );
    assert_eq!(words(&mut ask(&mut replay, "b", 0)), None);
}

#[test]
fn a_round_has_room_for_so_many_calls_and_bytes_and_the_first_always_travels() {
    let mut replay = Replay::default();
    let mut held = Vec::new();
    for number in 0..MOST_CALLS + 6 {
        assert_eq!(replay.is_full(), number >= MOST_CALLS);
        held.push(ask(&mut replay, &number.to_string(), 0));
    }
    let (keys, carried) = next(&mut replay);
    assert_eq!((keys.len(), carried.asked.len()), (MOST_CALLS, MOST_CALLS));
    // nobody waits for the first ten any more
    held.drain(..10);
    assert!(replay.waits() && !replay.is_full());
    assert_eq!(next(&mut replay).0.len(), MOST_CALLS - 4);

    let mut replay = Replay::default();
    let large = "a".repeat(MOST_BYTES);
    let _held: Vec<_> = (0..3)
        .map(|sample| ask(&mut replay, &large, sample))
        .collect();
    assert_eq!(next(&mut replay).0.len(), 1);
}

#[test]
fn a_tool_that_asks_something_else_each_time_is_stopped() {
    let mut replay = Replay::default();
    let _held = ask(&mut replay, "at 12:00:01, what is 2+2?", 0);
    let (keys, carried) = next(&mut replay);
    let responses = InputResponses::from([(keys[0].clone(), said("4"))]);
    let mut replay = Replay::begin(carried, responses);
    let _held = ask(&mut replay, "at 12:00:07, what is 2+2?", 0);
    let error = replay.round().unwrap_err();
    assert!(
        error.message().contains("something else each time"),
        "{error}"
    );
}

#[test]
fn what_is_no_request_fails_alone() {
    let mut replay = Replay::default();
    let (answer, mut answered) = oneshot::channel();
    let params = json!({"messages": "none"});
    replay.ask(Asked {
        params,
        sample: 0,
        answer,
    });
    assert_eq!(words(&mut answered), Some(Err(ErrorKind::BadRequest)));
    assert!(!replay.waits());
}
