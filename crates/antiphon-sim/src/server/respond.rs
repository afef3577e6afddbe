//! From a judged attempt to the bytes of its answer, faults included.

use std::{sync::Arc, time::Duration};

use antiphon_core::Clock;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};

use crate::{
    FaultKind, Simulator,
    answer::Reply,
    ask::{Ask, Dialect, Form},
    body::{BYTE_BY_BYTE, FIRST_BYTE, Script, Step, broken_off},
    ledger::Flight,
    rejection::Rejection,
    simulator::{Attempt, Outcome},
    wire::{self, Event, anthropic, headers, sse},
};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PAGE: &str = "<!DOCTYPE html><html><head><title>simulated</title></head><body><h1>Not what you asked for</h1></body></html>\n";
/// Bytes of `huge`.
const HUGE: u64 = 10_000_000_000;
/// Where redirects lead: a name that never resolves (RFC 6761).
const ELSEWHERE: &str = "https://elsewhere.invalid/v1";

/// The connection ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// With a reset.
    Reset,
    /// In order.
    Close,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a simulated fault cut the connection")
    }
}

impl std::error::Error for Cut {}

/// Answers, or ends the connection.
pub(super) async fn respond(
    simulator: &Simulator,
    form: Form,
    ask: &Ask,
    attempt: Attempt,
) -> Result<Response<Script>, Cut> {
    let dialect = form.dialect();
    let request_id = simulator.request_id();
    let mut headers = HeaderMap::new();
    let told = headers::told_limits(attempt.limits, attempt.fault);
    headers::write_limits(
        &mut headers,
        dialect,
        &told,
        attempt.fault,
        simulator.clock().wall(),
    );
    let Attempt {
        outcome,
        fault,
        latency,
        breaks_at,
        flight,
        ..
    } = attempt;
    let mut response = match outcome {
        Outcome::Silence => {
            if fault == Some(FaultKind::Hang) {
                std::future::pending::<()>().await;
            }
            simulator.wait(latency).await;
            flight.finish();
            return Err(if fault == Some(FaultKind::Reset) {
                Cut::Reset
            } else {
                Cut::Close
            });
        }
        Outcome::Rejected(rejection) => {
            simulator.wait(latency).await;
            flight.finish();
            rejected(simulator, dialect, &rejection, &request_id)
        }
        Outcome::Reply(reply) => {
            let telling = Telling {
                form,
                ask,
                reply: &reply,
                fault,
                breaks_at,
                flight,
                clock: simulator.clock(),
            };
            if ask.stream {
                let first = latency.mul_f64(FIRST_BYTE);
                simulator.wait(first).await;
                telling.streamed(latency - first, &request_id)
            } else {
                simulator.wait(latency).await;
                telling.whole(&request_id)
            }
        }
    };
    response.headers_mut().extend(headers);
    headers::put(
        response.headers_mut(),
        headers::request_id(dialect),
        &request_id,
    );
    Ok(response)
}

/// An error answer with its headers.
pub(super) fn rejected(
    simulator: &Simulator,
    dialect: Dialect,
    rejection: &Rejection,
    request_id: &str,
) -> Response<Script> {
    let status = match dialect {
        Dialect::OpenAi => rejection.status,
        Dialect::Anthropic => anthropic::status(rejection),
    };
    let (kind, body) = match rejection.html {
        true => (HTML, PAGE.to_owned()),
        false => (JSON, wire::error(dialect, rejection, request_id)),
    };
    let mut response = typed(kind, Script::whole(body, simulator.clock()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    headers::write_delay(response.headers_mut(), rejection);
    if response.status().is_redirection() {
        headers::put(response.headers_mut(), header::LOCATION, ELSEWHERE);
    }
    headers::put(
        response.headers_mut(),
        headers::request_id(dialect),
        request_id,
    );
    response
}

fn typed(content_type: &'static str, body: Script) -> Response<Script> {
    let mut response = Response::new(body);
    headers::put(response.headers_mut(), header::CONTENT_TYPE, content_type);
    response
}

/// An answer that is about to be told, in one of many ways.
struct Telling<'a> {
    form: Form,
    ask: &'a Ask,
    reply: &'a Reply,
    fault: Option<FaultKind>,
    breaks_at: f64,
    flight: Flight,
    clock: &'a Arc<dyn Clock>,
}

impl Telling<'_> {
    fn whole(self, request_id: &str) -> Response<Script> {
        let clock = self.clock;
        let body = wire::whole(self.form, self.ask, self.reply);
        let length = body.len() as u64;
        let part = (self.breaks_at * body.len() as f64) as usize;
        let part = Bytes::copy_from_slice(&body.as_bytes()[..part.clamp(1, body.len() - 1)]);
        let steps = |steps: Vec<Step>| typed(JSON, Script::of(steps, clock).announcing(length));
        let all = |text: String| typed(JSON, Script::whole(text, clock));
        let response = match self.fault {
            Some(FaultKind::Truncate) => steps(vec![Step::Data(part), Step::Break]),
            Some(FaultKind::Stall) => steps(vec![Step::Data(part), Step::Hang]),
            Some(FaultKind::Drip) => steps(dripping([Bytes::from(body)])),
            Some(FaultKind::Split) => steps(
                sse::split(body.as_bytes())
                    .into_iter()
                    .map(Step::Data)
                    .collect(),
            ),
            Some(FaultKind::Garbage) => all(format!("{}}}]", &body[..body.len() / 2])),
            Some(FaultKind::ErrorEvent) => all(wire::midway_error(self.form, request_id).data),
            Some(FaultKind::Padded) => all(format!("\n  {body}  \r\n")),
            Some(kind) => odd(kind, JSON, clock).unwrap_or_else(|| all(body)),
            None => all(body),
        };
        self.finished(response)
    }

    fn streamed(self, latency: Duration, request_id: &str) -> Response<Script> {
        let mut events = wire::events(self.form, self.ask, self.reply);
        let ending = match self.fault {
            Some(FaultKind::Truncate) => Some(Ending::Step(Step::Break)),
            Some(FaultKind::Stall) => Some(Ending::Step(Step::Hang)),
            Some(FaultKind::EarlyEnd) => Some(Ending::Nothing),
            Some(FaultKind::ErrorEvent) => {
                Some(Ending::Event(wire::midway_error(self.form, request_id)))
            }
            Some(FaultKind::Garbage) => Some(Ending::Event(Event {
                name: wire::name_of_words(self.form),
                data: "{\"id\":\"chatcm}]".to_owned(),
            })),
            // the last event of a response is its finish reason, too
            Some(FaultKind::NoDone) if self.form != Form::Responses => {
                events.pop();
                None
            }
            _ => None,
        };
        let mut last = None;
        if let Some(ending) = ending {
            events.truncate(broken_off(events.len(), self.breaks_at));
            match ending {
                Ending::Nothing => {}
                Ending::Event(event) => events.push(event),
                Ending::Step(step) => last = Some(step),
            }
        }
        let chunks = sse::written(&events, self.fault);
        let mut steps = match self.fault {
            Some(FaultKind::Drip) => dripping(chunks),
            // pieces of a few bytes must not be glued together again by a buffer
            Some(FaultKind::Split | FaultKind::Joined) => {
                chunks.into_iter().map(Step::Data).collect()
            }
            _ => paced(chunks, latency),
        };
        steps.extend(last);
        let response = self.fault.and_then(|kind| odd(kind, EVENTS, self.clock));
        let response = response.unwrap_or_else(|| typed(EVENTS, Script::of(steps, self.clock)));
        self.finished(response)
    }

    fn finished(self, mut response: Response<Script>) -> Response<Script> {
        match self.fault {
            Some(FaultKind::WrongType) => {
                headers::put(
                    response.headers_mut(),
                    header::CONTENT_TYPE,
                    "text/plain; charset=utf-8",
                );
            }
            Some(FaultKind::Headers) => {
                for number in 0..2000 {
                    headers::put(response.headers_mut(), format!("x-simulated-{number}"), "1");
                }
            }
            _ => {}
        }
        response.map(|body| body.closing(self.flight))
    }
}

/// How a broken stream ends.
enum Ending {
    Nothing,
    Event(Event),
    Step(Step),
}

/// Answers that do not depend on what was asked.
fn odd(
    kind: FaultKind,
    content_type: &'static str,
    clock: &Arc<dyn Clock>,
) -> Option<Response<Script>> {
    Some(match kind {
        FaultKind::Html => typed(HTML, Script::whole(PAGE, clock)),
        FaultKind::Empty => typed(content_type, Script::whole(Bytes::new(), clock)),
        FaultKind::Huge => typed(
            content_type,
            Script::of([Step::Flood(HUGE)], clock).announcing(HUGE),
        ),
        _ => return None,
    })
}

fn dripping(chunks: impl IntoIterator<Item = Bytes>) -> Vec<Step> {
    let bytes = chunks.into_iter().flatten();
    bytes
        .flat_map(|byte| {
            [
                Step::Wait(BYTE_BY_BYTE),
                Step::Data(Bytes::copy_from_slice(&[byte])),
            ]
        })
        .collect()
}

/// The chunks of a stream over its latency; at once and in one piece where there is none, which is much cheaper.
fn paced(chunks: Vec<Bytes>, latency: Duration) -> Vec<Step> {
    if latency.is_zero() {
        return vec![Step::Data(chunks.concat().into())];
    }
    let pause = latency / (chunks.len().max(2) as u32 - 1);
    let mut steps = Vec::with_capacity(chunks.len() * 2);
    for (index, chunk) in chunks.into_iter().enumerate() {
        if index > 0 {
            steps.push(Step::Wait(pause));
        }
        steps.push(Step::Data(chunk));
    }
    steps
}
