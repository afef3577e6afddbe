use std::time::{Duration, SystemTime};

use antiphon::Spent;

use super::*;
use crate::observe::{CallBegan, Outcome};

fn end() -> CallEnded {
    CallEnded {
        call: CallBegan {
            id: "req_1".into(),
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            caller: Some("team-a".into()),
            wire: "anthropic",
            asked: "fast".into(),
            is_streamed: false,
            remote: None,
            traceparent: None,
            span: None,
        },
        status: 499,
        outcome: Outcome::HungUp,
        model: None,
        took: Duration::from_micros(1_234),
        first_piece: None,
        attempts: 1,
        spent: Spent::lost(),
        is_cached: false,
        finish_reason: None,
        upstream_id: None,
        error: Some("whatever a provider says".into()),
        content: None,
    }
}

#[test]
fn a_line_that_finds_no_room_is_dropped_and_counted() {
    let (queue, lines) = sync_channel(1);
    let log = AccessLog {
        queue,
        thread: Mutex::default(),
        has_content: false,
        dropped: AtomicU64::new(0),
    };
    for _ in 0..3 {
        log.ended(&end());
    }
    assert_eq!(log.dropped(), Some(("log_lines", 2)));
    assert!(matches!(lines.try_recv(), Ok(Told::Ended(_))));
    drop(lines);
    log.ended(&end());
    log.close();
    assert_eq!(log.dropped(), Some(("log_lines", 3)));
}

#[test]
fn what_is_not_known_is_null() {
    let line = line::of(&end());
    assert_eq!(
        line,
        concat!(
            r#"{"time":"1970-01-01T00:00:01.500Z","id":"req_1","caller":"team-a","remote":null,"#,
            r#""wire":"anthropic","asked":"fast","model":null,"stream":false,"status":499,"#,
            r#""outcome":"hung_up","error":null,"took_ms":1.234,"first_token_ms":null,"#,
            r#""input_tokens":null,"output_tokens":null,"cached_input_tokens":null,"#,
            r#""reasoning_tokens":null,"cost_usd":null,"attempts":1,"cached":false,"#,
            r#""finish_reason":null,"upstream_id":null,"trace_id":null}"#,
            "\n"
        )
    );
}
