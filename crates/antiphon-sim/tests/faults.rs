//! Every kind of fault, as a client on the wire sees it.

mod rig;

use std::io::ErrorKind;

use antiphon_sim::{Fate, FaultKind};
use rig::{ANTHROPIC, OPENAI, Seen, events, failing, folded, get, post, question, send};
use serde_json::Value;
use tokio::io::AsyncReadExt;

const PROMPT: &str = "Tell me “what” a naïve 漢字 reader should know about rivers and tides";

/// Kinds that never come to an end, each with a test of its own.
const ENDLESS: [FaultKind; 4] = [
    FaultKind::Hang,
    FaultKind::Stall,
    FaultKind::Drip,
    FaultKind::Huge,
];

fn statuses() -> impl Iterator<Item = FaultKind> {
    [
        302, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529,
    ]
    .into_iter()
    .map(FaultKind::Status)
}

#[tokio::test]
async fn every_kind_shows_on_both_wires() {
    let kinds = FaultKind::all().map(|(kind, _)| kind).chain(statuses());
    for kind in kinds.filter(|kind| !ENDLESS.contains(kind)) {
        let server = failing(&kind.to_string()).await;
        for path in [OPENAI, ANTHROPIC] {
            for stream in [false, true] {
                let seen = post(&server, path, &question(path, PROMPT, stream)).await;
                let case = format!(
                    "{kind} at {path}, stream {stream}: {seen:?} {:?}",
                    String::from_utf8_lossy(&seen.body)
                );
                check(kind, path, stream, &seen, &case);
            }
        }
        let report = server.simulator().ledger().report();
        assert_eq!(report.faults[&kind.to_string()], 4, "{kind}");
        let ends = (report.answered, report.spoiled, report.failed);
        let expected = match kind.fate() {
            // an answer in one piece cannot end early
            _ if kind == FaultKind::EarlyEnd => (2, 2, 0),
            Fate::Answers => (4, 0, 0),
            Fate::Spoils => (0, 4, 0),
            Fate::Fails => (0, 0, 4),
        };
        assert_eq!(ends, expected, "{kind}");
        assert_eq!((report.asked, report.in_flight), (4, 0), "{kind}");
    }
}

fn check(kind: FaultKind, path: &str, stream: bool, seen: &Seen, case: &str) {
    match kind {
        FaultKind::Status(status) => check_status(status, path, seen, case),
        FaultKind::Reset => assert_eq!(
            (seen.status, seen.error),
            (0, Some(ErrorKind::ConnectionReset)),
            "{case}"
        ),
        FaultKind::Refuse => {
            assert_eq!(
                (seen.status, seen.error, seen.body.len()),
                (0, None, 0),
                "{case}"
            );
        }
        FaultKind::Truncate => {
            assert!(
                seen.status == 200 && !seen.complete && !seen.body.is_empty(),
                "{case}"
            );
        }
        FaultKind::Html => {
            assert!(
                seen.header("content-type")
                    .unwrap()
                    .starts_with("text/html"),
                "{case}"
            );
            assert!(
                seen.status == 200 && seen.text().contains("<html>"),
                "{case}"
            );
        }
        FaultKind::Empty => assert_eq!(
            (seen.status, seen.body.len(), seen.complete),
            (200, 0, true),
            "{case}"
        ),
        FaultKind::Headers => assert!(seen.headers.len() > 2000, "{case}"),
        FaultKind::WrongType => assert_eq!(
            seen.header("content-type"),
            Some("text/plain; charset=utf-8"),
            "{case}"
        ),
        FaultKind::HtmlError => assert!(
            seen.status == 502 && seen.text().contains("<html>"),
            "{case}"
        ),
        FaultKind::NoRetry => {
            assert_eq!(
                (seen.status, seen.header("x-should-retry")),
                (500, Some("false")),
                "{case}"
            );
        }
        FaultKind::Quota => check_quota(path, seen, case),
        FaultKind::RetryAfterMs
        | FaultKind::RetryAfterFloat
        | FaultKind::RetryAfterDate
        | FaultKind::RetryAfterHour
        | FaultKind::NoRetryAfter => check_delay(kind, seen, case),
        _ if stream => check_stream(kind, path, seen, case),
        _ => check_whole(kind, path, seen, case),
    }
}

fn check_status(status: u16, path: &str, seen: &Seen, case: &str) {
    assert_eq!(seen.status, status, "{case}");
    let error = &seen.json()["error"];
    assert!(
        error["message"].is_string() && error["type"].is_string(),
        "{case}"
    );
    if path == ANTHROPIC {
        assert!(
            seen.json()["type"] == "error" && seen.json()["request_id"].is_string(),
            "{case}"
        );
        assert!(seen.header("request-id").is_some(), "{case}");
        assert_eq!(
            error["type"] == "overloaded_error",
            matches!(status, 503 | 529),
            "{case}"
        );
    } else {
        assert!(seen.header("x-request-id").is_some(), "{case}");
    }
    assert_eq!(
        seen.header("retry-after").is_some(),
        status == 429,
        "{case}"
    );
    assert_eq!(seen.header("location").is_some(), status == 302, "{case}");
}

fn check_quota(path: &str, seen: &Seen, case: &str) {
    let error = &seen.json()["error"];
    match path {
        OPENAI => assert!(
            seen.status == 429 && error["code"] == "insufficient_quota",
            "{case}"
        ),
        _ => assert!(
            seen.status == 402 && error["type"] == "billing_error",
            "{case}"
        ),
    }
}

fn check_delay(kind: FaultKind, seen: &Seen, case: &str) {
    assert_eq!(seen.status, 429, "{case}");
    let (after, millis) = (seen.header("retry-after"), seen.header("retry-after-ms"));
    match kind {
        FaultKind::RetryAfterMs => assert_eq!((after, millis), (None, Some("250")), "{case}"),
        FaultKind::RetryAfterFloat => assert_eq!((after, millis), (Some("0.5"), None), "{case}"),
        FaultKind::RetryAfterHour => assert_eq!((after, millis), (Some("3600"), None), "{case}"),
        FaultKind::RetryAfterDate => assert!(after.unwrap().ends_with(" GMT"), "{case}"),
        _ => assert_eq!((after, millis), (None, None), "{case}"),
    }
}

fn check_whole(kind: FaultKind, path: &str, seen: &Seen, case: &str) {
    assert!(seen.status == 200 && seen.complete, "{case}");
    if kind == FaultKind::Garbage {
        assert!(
            serde_json::from_slice::<Value>(&seen.body).is_err(),
            "{case}"
        );
        return;
    }
    let body = seen.json();
    assert_eq!(
        body.get("error").is_some(),
        kind == FaultKind::ErrorEvent,
        "{case}"
    );
    let usage = body.get("usage");
    let cached = [
        &body["usage"]["prompt_tokens_details"]["cached_tokens"],
        &body["usage"]["cache_read_input_tokens"],
    ];
    let cached = cached.into_iter().find_map(Value::as_u64);
    let reasoning = body.pointer("/usage/completion_tokens_details/reasoning_tokens");
    let reasoning = reasoning.or(body.pointer("/usage/output_tokens_details/thinking_tokens"));
    let finish = body
        .pointer("/choices/0/finish_reason")
        .or(body.get("stop_reason"));
    let finish = finish.and_then(Value::as_str).unwrap_or_default();
    match kind {
        FaultKind::NoUsage => assert_eq!(usage, None, "{case}"),
        FaultKind::NullUsage => assert!(usage.is_none_or(Value::is_null), "{case}"),
        FaultKind::NoDetails => assert!(usage.is_some() && cached.is_none(), "{case}"),
        FaultKind::Cached => assert!(cached > Some(0), "{case}"),
        FaultKind::Reasoning => assert_eq!(reasoning, Some(&Value::from(64)), "{case}"),
        FaultKind::Refusal => {
            let declined = body
                .pointer("/choices/0/message/refusal")
                .is_some_and(Value::is_string);
            assert!(declined || finish == "refusal", "{case}");
        }
        FaultKind::ContentFilter => {
            assert!(matches!(finish, "content_filter" | "refusal"), "{case}")
        }
        FaultKind::Length => assert!(matches!(finish, "length" | "max_tokens"), "{case}"),
        FaultKind::Interleaved => assert!(matches!(finish, "tool_calls" | "tool_use"), "{case}"),
        FaultKind::Padded => assert!(seen.text().starts_with("\n  {"), "{case}"),
        _ => {}
    }
    check_limits(kind, path, seen, case);
}

fn check_limits(kind: FaultKind, path: &str, seen: &Seen, case: &str) {
    let prefix = if path == OPENAI {
        "x-ratelimit-reset-requests"
    } else {
        "anthropic-ratelimit-requests-reset"
    };
    let reset = seen.header(prefix);
    let number = reset.and_then(|text| text.parse::<f64>().ok());
    match kind {
        FaultKind::ResetSeconds => assert_eq!(number, Some(3724.0), "{case}"),
        FaultKind::ResetEpoch => assert!(number > Some(1e9), "{case}"),
        FaultKind::ResetDate => assert!(reset.unwrap().ends_with('Z'), "{case}"),
        FaultKind::ResetGo => assert_eq!(reset, Some("1h2m3.5s"), "{case}"),
        FaultKind::OddLimits => {
            assert!(
                seen.headers
                    .iter()
                    .any(|(name, value)| name.contains("limit-requests") && value == "-1")
                    || seen.header("anthropic-ratelimit-requests-limit") == Some("-1"),
                "{case}"
            );
        }
        _ => assert_eq!(reset, None, "{case}"),
    }
}

fn check_stream(kind: FaultKind, path: &str, seen: &Seen, case: &str) {
    assert!(seen.status == 200 && seen.complete, "{case}");
    assert!(
        seen.header("content-type")
            .unwrap()
            .starts_with("text/event-stream"),
        "{case}"
    );
    if kind == FaultKind::Garbage {
        let (_, last) = events(&seen.body).pop().unwrap();
        assert!(serde_json::from_str::<Value>(&last).is_err(), "{case}");
        return;
    }
    let raw = seen.text();
    let told = folded(path, &seen.body);
    let broken = matches!(kind, FaultKind::ErrorEvent | FaultKind::EarlyEnd);
    assert_eq!(told.error, kind == FaultKind::ErrorEvent, "{case}");
    assert_eq!(told.finish.is_none(), broken, "{case}");
    assert_eq!(told.closed, !broken && kind != FaultKind::NoDone, "{case}");
    match kind {
        FaultKind::Crlf => assert!(
            raw.contains("\r\n") && !raw.replace("\r\n", "").contains('\n'),
            "{case}"
        ),
        FaultKind::Cr => assert!(raw.contains('\r') && !raw.contains('\n'), "{case}"),
        FaultKind::Comments => assert!(
            raw.contains(": keep-alive") && raw.contains("x-unknown"),
            "{case}"
        ),
        FaultKind::Padded => assert!(raw.contains("}   \n"), "{case}"),
        FaultKind::DataLines => assert!(raw.contains("data: {\ndata:   \""), "{case}"),
        FaultKind::NoUsage | FaultKind::NullUsage => assert_eq!(told.output, None, "{case}"),
        FaultKind::Interleaved => {
            assert_eq!(told.arguments.len(), 2, "{case}");
            for arguments in &told.arguments {
                assert!(
                    serde_json::from_str::<Value>(arguments)
                        .unwrap()
                        .is_object(),
                    "{case}"
                );
            }
        }
        _ => {}
    }
    let unusual = [
        FaultKind::Refusal,
        FaultKind::ContentFilter,
        FaultKind::Length,
        FaultKind::Interleaved,
    ];
    let finished = matches!(told.finish.as_deref(), Some("stop" | "end_turn"));
    let plain = kind.fate() == Fate::Answers && !unusual.contains(&kind);
    assert_eq!(finished && told.text.ends_with('.'), plain, "{case}");
    check_limits(kind, path, seen, case);
}

#[tokio::test]
async fn a_split_body_comes_in_pieces_that_respect_no_character() {
    let server = failing("split").await;
    let whole = failing("no-limits").await;
    for path in [OPENAI, ANTHROPIC] {
        let body = question(path, PROMPT, true).to_string();
        let mut tcp = send(&server, &format!("POST {path}"), "", body.as_bytes()).await;
        let mut raw = Vec::new();
        tcp.read_to_end(&mut raw).await.unwrap();
        // HTTP chunks keep the pieces apart: the first one has one byte, the second two
        let raw = String::from_utf8_lossy(&raw).into_owned();
        let (_, chunks) = raw.split_once("\r\n\r\n").unwrap();
        assert!(
            chunks.starts_with("1\r\n") && chunks[4..].starts_with("\r\n2\r\n"),
            "{chunks}"
        );
        let pieces = post(&server, path, &question(path, PROMPT, true)).await;
        let plain = post(&whole, path, &question(path, PROMPT, true)).await;
        assert_eq!(pieces.body, plain.body);
    }
}

#[tokio::test]
async fn what_hangs_sends_nothing_and_stays_open() {
    let server = failing("hang").await;
    let body = question(OPENAI, PROMPT, false).to_string();
    let tcp = send(&server, "POST /v1/chat/completions", "", body.as_bytes()).await;
    // once the fault is in the books, the attempt has met its fate
    while get(&server, "/sim/ledger").await.json()["faults"]["hang"] != 1 {
        tokio::task::yield_now().await;
    }
    let mut byte = [0];
    assert_eq!(
        tcp.try_read(&mut byte).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert_eq!(server.simulator().ledger().report().in_flight, 1);
    drop(tcp);
    while server.simulator().ledger().report().in_flight > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.simulator().ledger().report().failed, 1);
}

#[tokio::test]
async fn what_stalls_or_drips_begins_and_does_not_end() {
    for kind in ["stall", "drip"] {
        for (path, stream) in [(OPENAI, false), (OPENAI, true), (ANTHROPIC, true)] {
            let server = failing(kind).await;
            let body = question(path, PROMPT, stream).to_string();
            let mut tcp = send(&server, &format!("POST {path}"), "", body.as_bytes()).await;
            let mut bytes = Vec::new();
            // the head, and for a stall a piece of the body with it
            while !bytes.windows(4).any(|four| four == b"\r\n\r\n")
                || (kind == "stall" && bytes.ends_with(b"\r\n\r\n") && !stream)
            {
                assert_ne!(tcp.read_buf(&mut bytes).await.unwrap(), 0, "{kind}");
            }
            assert!(bytes.starts_with(b"HTTP/1.1 200"), "{kind}");
            let report = server.simulator().ledger().report();
            assert_eq!((report.answered, report.in_flight), (0, 1), "{kind}");
            drop(tcp);
            while server.simulator().ledger().report().in_flight > 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(server.simulator().ledger().report().spoiled, 1, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_huge_answer_goes_on_and_on() {
    let server = failing("huge").await;
    let body = question(OPENAI, PROMPT, false).to_string();
    let mut tcp = send(&server, "POST /v1/chat/completions", "", body.as_bytes()).await;
    let mut bytes = vec![0; 8 << 20];
    tcp.read_exact(&mut bytes).await.unwrap();
    let head = String::from_utf8_lossy(&bytes[..1000]).into_owned();
    assert!(head.contains("content-length: 10000000000"), "{head}");
    assert!(bytes.ends_with(b"   "));
}
