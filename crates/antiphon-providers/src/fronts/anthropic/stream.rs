//! Streamed messages.

use antiphon_core::{ChatDelta, Error, FinishReason, Head, Usage};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    dialects::anthropic::{NAME, written},
    fronts::{
        StreamWriter, Told, errors,
        frame::{ended, named_event},
        sequence::{Kind, Sequence, Step},
    },
};

/// Writes one stream: frames as they came while there are some, events of its own from then on.
#[derive(Debug)]
pub(super) struct Writer {
    told: Told,
    /// Frames are of this wire.
    passes: bool,
    /// The blocks, once one was written.
    sequence: Option<Sequence>,
    model: String,
    begun: bool,
    /// Index of the next block.
    next: u64,
    /// The open block, and what kind it is where that is known here.
    open: Option<(u64, Option<Kind>)>,
    /// Calls that have begun.
    calls: usize,
    finish: Option<FinishReason>,
    /// The event with the stop reason has been passed on.
    finished: bool,
    /// So has the last event.
    has_end_mark: bool,
    refusal: Option<String>,
    usage: Option<Usage>,
    closed: bool,
}

/// What is to be known of an event that is passed on.
#[derive(Deserialize)]
struct Seen<'a> {
    #[serde(default, borrow)]
    r#type: &'a str,
    #[serde(default)]
    index: u64,
    #[serde(default, borrow)]
    content_block: Option<SeenBlock<'a>>,
}

#[derive(Deserialize)]
struct SeenBlock<'a> {
    #[serde(default, borrow)]
    r#type: &'a str,
}

impl Writer {
    pub(super) fn new(head: &Head, told: Told) -> Self {
        Self {
            passes: Told::passes(head, NAME),
            model: told.model_of(head, None).to_owned(),
            told,
            sequence: None,
            begun: false,
            next: 0,
            open: None,
            calls: 0,
            finish: None,
            finished: false,
            has_end_mark: false,
            refusal: None,
            usage: None,
            closed: false,
        }
    }

    fn pass(&mut self, delta: &ChatDelta) -> Bytes {
        self.begun = true;
        self.finished |= delta.finish_reason.is_some();
        let seen = std::str::from_utf8(&delta.raw).ok();
        if let Some(seen) = seen.and_then(|seen| serde_json::from_str(seen).ok()) {
            self.see(&seen);
        }
        match delta.raw.is_empty() {
            // the last bytes of the stream
            true => ended(&delta.frame),
            false => delta.frame.clone(),
        }
    }

    /// Where the stream stands after an event: others may have to go on from there.
    fn see(&mut self, event: &Seen<'_>) {
        match event.r#type {
            "content_block_start" => {
                let block = event.content_block.as_ref();
                let kind = match block.map(|block| block.r#type) {
                    Some("text") => Some(Kind::Text),
                    Some("thinking") => Some(Kind::Reasoning),
                    Some("tool_use") => {
                        self.calls += 1;
                        Some(Kind::Call {
                            index: self.calls - 1,
                            id: String::new(),
                            name: String::new(),
                        })
                    }
                    _ => None,
                };
                self.next = event.index.saturating_add(1);
                self.open = Some((event.index, kind));
            }
            "content_block_stop" => self.open = None,
            "message_stop" => self.has_end_mark = true,
            _ => {}
        }
    }

    fn write(&mut self, mut delta: ChatDelta) -> Bytes {
        let has_content = delta.has_content();
        let tells_nothing = !has_content && delta.model.is_none() && delta.usage.is_none();
        self.finish = delta.finish_reason.take().or(self.finish.take());
        if let Some(words) = delta.refusal.take() {
            self.refusal.get_or_insert_default().push_str(&words);
        }
        if self.finished || tells_nothing || (self.begun && !has_content) {
            return Bytes::new();
        }
        let mut out = self.start();
        let steps = self.sequence(&mut out).push(&mut delta);
        self.write_steps(steps, &mut out);
        Bytes::from(out)
    }

    /// The beginning, where there was none yet. Usage is what is known so far; the end tells it again.
    fn start(&mut self) -> String {
        if std::mem::replace(&mut self.begun, true) {
            return String::new();
        }
        let message = json!({
            "id": format!("msg_{}", self.told.id),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": written::wire_usage(&self.usage.unwrap_or_default()),
        });
        written_event("message_start", json!({"message": message}))
    }

    /// The blocks; they go on where the stream stands that was passed on so far.
    fn sequence(&mut self, out: &mut String) -> &mut Sequence {
        if let Some((_, None)) = self.open {
            // a block that nothing here can go on with
            self.write_steps(vec![Step::Close], out);
        }
        let open = self.open.as_ref().and_then(|(_, kind)| kind.clone());
        self.sequence.get_or_insert_with(|| Sequence::resume(open))
    }

    fn write_steps(&mut self, steps: Vec<Step>, out: &mut String) {
        for step in steps {
            let event = match step {
                Step::Open(kind) => self.open_block(kind),
                Step::Grow(text) => self.grow_block(&text),
                Step::Close => {
                    let open = self.open.take();
                    open.map(|(index, _)| {
                        written_event("content_block_stop", json!({"index": index}))
                    })
                }
            };
            out.push_str(&event.unwrap_or_default());
        }
    }

    fn open_block(&mut self, kind: Kind) -> Option<String> {
        let block = match &kind {
            Kind::Reasoning => json!({"type": "thinking", "thinking": "", "signature": ""}),
            Kind::Text | Kind::Refusal => json!({"type": "text", "text": ""}),
            Kind::Call { index, id, name } => json!({
                "type": "tool_use",
                "id": written::call_id(id, *index, &self.told.id),
                "name": name,
                "input": {},
            }),
        };
        let index = self.next;
        self.next = self.next.saturating_add(1);
        self.open = Some((index, Some(kind)));
        let data = json!({"index": index, "content_block": block});
        Some(written_event("content_block_start", data))
    }

    fn grow_block(&mut self, text: &str) -> Option<String> {
        let (index, kind) = self.open.as_ref()?;
        let delta = match kind.as_ref()? {
            Kind::Reasoning => json!({"type": "thinking_delta", "thinking": text}),
            Kind::Text | Kind::Refusal => json!({"type": "text_delta", "text": text}),
            Kind::Call { .. } => json!({"type": "input_json_delta", "partial_json": text}),
        };
        let data = json!({"index": index, "delta": delta});
        Some(written_event("content_block_delta", data))
    }

    /// Why it ended, and all it used.
    fn end(&mut self, out: &mut String) {
        out.push_str(&self.start());
        let steps = self.sequence(out).end();
        self.write_steps(steps, out);
        let finish = self.finish.clone().unwrap_or(FinishReason::Stop);
        let mut delta = json!({
            "stop_reason": written::stop_reason(&finish, self.refusal.is_some()),
            "stop_sequence": null,
        });
        if let Some(details) = written::stop_details(self.refusal.as_deref()) {
            delta["stop_details"] = details;
        }
        // the wire demands numbers: unknown tokens are zeros, here only
        let usage = written::wire_usage(&self.usage.unwrap_or_default());
        out.push_str(&written_event(
            "message_delta",
            json!({"delta": delta, "usage": usage}),
        ));
    }
}

/// An event with its type in front of its fields.
fn written_event(name: &str, fields: Value) -> String {
    let mut data = json!({"type": name});
    if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
        data.extend(fields);
    }
    named_event(name, &data.to_string())
}

impl StreamWriter for Writer {
    fn push(&mut self, delta: ChatDelta) -> Bytes {
        if self.closed {
            return Bytes::new();
        }
        self.usage = delta.usage.or(self.usage);
        if let Some(model) = &delta.model {
            self.model.clone_from(model);
        }
        match self.passes && self.sequence.is_none() && !delta.frame.is_empty() {
            true => self.pass(&delta),
            false => self.write(delta),
        }
    }

    fn finish(&mut self) -> Bytes {
        if std::mem::replace(&mut self.closed, true) || self.has_end_mark {
            return Bytes::new();
        }
        let mut out = String::new();
        if !self.finished {
            self.end(&mut out);
        }
        out.push_str(&written_event("message_stop", json!({})));
        Bytes::from(out)
    }

    fn fail(&mut self, error: &Error) -> Bytes {
        if std::mem::replace(&mut self.closed, true) || self.has_end_mark {
            return Bytes::new();
        }
        let body = errors::anthropic(error, errors::status_within(error), &self.told.id);
        Bytes::from(named_event("error", &errors::on_one_line(&body)))
    }
}
