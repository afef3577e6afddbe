//! Models that stream a scripted answer in scripted pieces, and break where the script says.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use antiphon_core::{
    Answer, Body, BoxFuture, ChatDelta, ChatRequest, ChatResponse, Error, ErrorKind, FinishReason,
    Head, Model, Spent, Usage,
    chat::{DeltaStream, ToolCallDelta},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Refusal(String),
    /// Name and arguments.
    Call(String, String),
}

pub(crate) fn text(text: &str) -> Vec<Part> {
    vec![Part::Text(text.to_owned())]
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// With its finish reason.
    Whole,
    /// As `Whole`, in one piece that is no stream.
    Ready,
    /// With an error after so many pieces.
    Breaks(usize),
    /// Without a finish reason after so many pieces.
    Stops(usize),
    /// Before it begins.
    Fails(ErrorKind),
}

/// An answer and the way it is told.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) parts: Vec<Part>,
    /// Characters of the pieces, again and again.
    pub(crate) sizes: Vec<usize>,
    pub(crate) fate: Fate,
}

impl Script {
    pub(crate) fn new(parts: Vec<Part>, fate: Fate) -> Self {
        let sizes = vec![2];
        Self { parts, sizes, fate }
    }

    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.fate, Fate::Whole | Fate::Ready)
    }

    /// The parts in the order in which they are told: an answer in one piece tells its texts first.
    pub(crate) fn told(&self) -> Vec<Part> {
        if self.fate != Fate::Ready {
            return self.parts.clone();
        }
        let (mut text, mut refusal) = (String::new(), String::new());
        let mut calls = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(said) => text.push_str(said),
                Part::Refusal(said) => refusal.push_str(said),
                call => calls.push(call.clone()),
            }
        }
        let mut parts = vec![Part::Text(text), Part::Refusal(refusal)];
        parts.retain(
            |part| !matches!(part, Part::Text(said) | Part::Refusal(said) if said.is_empty()),
        );
        [parts, calls].concat()
    }

    /// The pieces of the whole answer, without its end.
    fn pieces(&self, model: &str) -> Vec<ChatDelta> {
        let mut sizes = self.sizes.iter().copied().cycle();
        let mut calls = 0;
        let mut pieces = Vec::new();
        for part in &self.parts {
            let mut piece = ChatDelta::default();
            let (Part::Text(said) | Part::Refusal(said) | Part::Call(_, said)) = part;
            if let Part::Call(name, _) = part {
                piece.tool_calls.push(ToolCallDelta {
                    index: calls,
                    id: Some(format!("{model}-{calls}")),
                    name: Some(name.clone()),
                    arguments: String::new(),
                });
                calls += 1;
            }
            let mut left: Vec<char> = said.chars().collect();
            while !left.is_empty() || piece.has_content() {
                let size = sizes.next().unwrap_or(1).max(1).min(left.len());
                let next: String = left.drain(..size).collect();
                match part {
                    Part::Text(_) => piece.text = next,
                    Part::Refusal(_) => piece.refusal = Some(next),
                    Part::Call(..) => match piece.tool_calls.last_mut() {
                        Some(call) => call.arguments = next,
                        None => piece.tool_calls.push(ToolCallDelta {
                            index: calls - 1,
                            arguments: next,
                            ..ToolCallDelta::default()
                        }),
                    },
                }
                pieces.push(std::mem::take(&mut piece));
            }
        }
        pieces
    }
}

/// Gives the answers of its scripts in turn, the last again and again.
pub(crate) struct Scripted {
    name: String,
    scripts: Vec<Script>,
    pub(crate) continues: bool,
    requests: Mutex<Vec<ChatRequest>>,
}

impl Scripted {
    pub(crate) fn new(name: impl Into<String>, scripts: Vec<Script>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            scripts,
            continues: false,
            requests: Mutex::default(),
        })
    }

    pub(crate) fn continuing(name: &str, scripts: Vec<Script>) -> Arc<Self> {
        let model = Self::new(name, scripts);
        let mut model = Arc::into_inner(model).unwrap();
        model.continues = true;
        Arc::new(model)
    }

    pub(crate) fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap().clone()
    }

    fn answer(&self, script: &Script) -> Result<ChatResponse, Error> {
        let head = Head {
            model: self.name.clone(),
            status: 200,
            attempts: 1,
            ..Head::default()
        };
        let mut deltas = script.pieces(&self.name);
        for (number, delta) in deltas.iter_mut().enumerate() {
            delta.frame = Bytes::from(format!("{} {number}", self.name));
            delta.raw = delta.frame.clone();
        }
        let failed = |message: &str| broken(ErrorKind::Connection, message);
        let (kept, end) = match script.fate {
            Fate::Fails(kind) => return Err(broken(kind, "it failed")),
            Fate::Breaks(after) => (after, Some(Err(failed("it broke")))),
            Fate::Stops(after) => (after, None),
            Fate::Whole | Fate::Ready => (usize::MAX, Some(Ok(last(&self.name)))),
        };
        deltas.truncate(kept);
        let deltas = stream::iter(deltas.into_iter().map(Ok).chain(end));
        let body = match script.fate {
            Fate::Ready => Body::Ready(whole(deltas.boxed())),
            _ => Body::Stream(deltas.boxed()),
        };
        Ok(ChatResponse { head, body })
    }
}

fn last(model: &str) -> ChatDelta {
    ChatDelta {
        finish_reason: Some(FinishReason::Stop),
        model: Some(format!("{model}-dated")),
        usage: Some(Usage {
            input_tokens: 10,
            output_tokens: 5,
            ..Usage::default()
        }),
        ..ChatDelta::default()
    }
}

/// An error of an attempt whose end nobody knows.
fn broken(kind: ErrorKind, message: &str) -> Error {
    let error = Error::new(kind, message).with_attempts(1);
    error.with_spent(Spent::lost())
}

fn in_one_piece(answer: Answer) -> ChatDelta {
    let calls = answer.tool_calls.into_iter().enumerate();
    ChatDelta {
        text: answer.text,
        refusal: answer.refusal,
        tool_calls: calls
            .map(|(index, call)| ToolCallDelta {
                index,
                id: Some(call.id),
                name: Some(call.name),
                arguments: call.arguments,
            })
            .collect(),
        finish_reason: Some(answer.finish_reason),
        ..ChatDelta::default()
    }
}

fn whole(deltas: DeltaStream) -> Answer {
    let response = ChatResponse {
        head: Head::default(),
        body: Body::Stream(deltas),
    };
    let reply = futures_util::FutureExt::now_or_never(response.whole());
    reply.unwrap().unwrap().answer
}

impl Model for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn continues(&self, _: &ChatRequest) -> bool {
        self.continues
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        let mut requests = self.requests.lock().unwrap();
        let script = &self.scripts[requests.len().min(self.scripts.len() - 1)];
        requests.push(request);
        let answer = self.answer(script);
        Box::pin(async move { answer })
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a reader has of a stream.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) deltas: Vec<ChatDelta>,
    pub(crate) error: Option<Error>,
}

impl Read {
    /// Reads a stream to its end, which must come without any waiting.
    pub(crate) fn of(model: &dyn Model, request: ChatRequest) -> Self {
        let reading = async {
            let mut read = Self::default();
            let mut deltas = match model.call(request).await {
                Err(error) => {
                    read.error = Some(error);
                    return read;
                }
                Ok(response) => match response.body {
                    Body::Stream(deltas) => deltas,
                    Body::Ready(answer) => stream::iter([Ok(in_one_piece(answer))]).boxed(),
                    Body::Whole(_) => panic!("scripts answer at once"),
                },
            };
            while let Some(delta) = deltas.next().await {
                match delta {
                    Ok(delta) => read.deltas.push(delta),
                    Err(error) => {
                        assert!(read.error.replace(error).is_none(), "two errors");
                    }
                }
            }
            read
        };
        futures_util::FutureExt::now_or_never(reading).expect("scripts never wait")
    }

    pub(crate) fn is_whole(&self) -> bool {
        let ends = self.deltas.iter().filter(|d| d.finish_reason.is_some());
        assert!(ends.count() <= 1, "an answer ends once");
        self.deltas.iter().any(|d| d.finish_reason.is_some())
    }

    pub(crate) fn text(&self) -> String {
        self.deltas
            .iter()
            .map(|delta| delta.text.as_str())
            .collect()
    }

    /// The parts that were told, in their order, and the ids of the calls.
    pub(crate) fn parts(&self) -> (Vec<Part>, Vec<String>) {
        let (mut parts, mut ids) = (Vec::new(), Vec::<String>::new());
        for delta in &self.deltas {
            match (parts.last_mut(), delta.text.as_str()) {
                (_, "") => {}
                (Some(Part::Text(said)), piece) => said.push_str(piece),
                (_, piece) => parts.push(Part::Text(piece.to_owned())),
            }
            match (parts.last_mut(), delta.refusal.as_deref()) {
                (_, None | Some("")) => {}
                (Some(Part::Refusal(said)), Some(piece)) => said.push_str(piece),
                (_, Some(piece)) => parts.push(Part::Refusal(piece.to_owned())),
            }
            for call in &delta.tool_calls {
                if call.index == ids.len() {
                    ids.push(String::new());
                    parts.push(Part::Call(String::new(), String::new()));
                }
                assert_eq!(call.index + 1, ids.len(), "calls are told one by one");
                ids[call.index].push_str(call.id.as_deref().unwrap_or_default());
                let Some(Part::Call(name, arguments)) = parts.last_mut() else {
                    panic!("a text stands within a call");
                };
                name.push_str(call.name.as_deref().unwrap_or_default());
                arguments.push_str(&call.arguments);
            }
        }
        (parts, ids)
    }
}
