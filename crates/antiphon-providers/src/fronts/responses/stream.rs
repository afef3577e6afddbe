//! Streamed responses.

use antiphon_core::{ChatDelta, Error, FinishReason, Head, Usage};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    block::{Block, Event},
    passed::Passed,
};
use crate::{
    dialects::{
        Identity,
        responses::{NAME, written},
    },
    fronts::{
        StreamWriter, Told, errors,
        frame::{ended, named_event},
        sequence::{Sequence, Step},
    },
};

/// Writes one stream: frames as they came while there are some, events of its own from then on.
#[derive(Debug)]
pub(super) struct Writer {
    told: Told,
    /// Frames are of this wire.
    passes: bool,
    passed: Passed,
    /// What is written, once something was.
    written: Option<Written>,
    model: String,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    /// The last event has been passed on.
    finished: bool,
    closed: bool,
}

/// A response that is being written.
#[derive(Debug)]
struct Written {
    /// The response as it began.
    response: Value,
    sequence: Sequence,
    /// Number of the next event.
    number: u64,
    /// Place of the next item.
    next: u64,
    open: Option<Block>,
    items: Vec<Value>,
}

impl Writer {
    pub(super) fn new(head: &Head, told: Told) -> Self {
        Self {
            passes: Told::passes(head, NAME),
            model: told.model_of(head, None).to_owned(),
            told,
            passed: Passed::default(),
            written: None,
            finish: None,
            usage: None,
            finished: false,
            closed: false,
        }
    }

    fn pass(&mut self, delta: &ChatDelta) -> Bytes {
        self.finished |= delta.finish_reason.is_some();
        self.passed.see(delta);
        match delta.raw.is_empty() {
            // the last bytes of the stream
            true => ended(&delta.frame),
            false => delta.frame.clone(),
        }
    }

    fn write(&mut self, mut delta: ChatDelta) -> Bytes {
        let has_begun = self.written.is_some() || self.passed.next_number > 0;
        let has_content = delta.has_content();
        let tells_nothing = !has_content && delta.model.is_none() && delta.usage.is_none();
        self.finish = delta.finish_reason.take().or(self.finish.take());
        if self.finished || tells_nothing || (has_begun && !has_content) {
            return Bytes::new();
        }
        let mut out = String::new();
        let id = self.told.id.clone();
        let written = self.written(&mut out);
        let steps = written.sequence.push(&mut delta);
        written.steps(steps, &id, &mut out);
        Bytes::from(out)
    }

    /// What is written: it begins anew, or goes on where the stream stands that was passed on so far.
    fn written(&mut self, out: &mut String) -> &mut Written {
        let (told, passed, model) = (&self.told, &mut self.passed, &self.model);
        self.written.get_or_insert_with(|| {
            if let Some(response) = passed.response() {
                return Written::going_on(response, passed, &told.id, out);
            }
            let id = format!("resp_{}", told.id);
            let response = written::envelope(&Identity {
                id: &id,
                created: told.seconds(),
                model,
            });
            Written::begun(response, out)
        })
    }
}

impl Written {
    fn begun(response: Value, out: &mut String) -> Self {
        let mut written = Self {
            sequence: Sequence::default(),
            number: 0,
            next: 0,
            open: None,
            items: Vec::new(),
            response,
        };
        for name in ["response.created", "response.in_progress"] {
            let event = (name, json!({"response": written.response}));
            written.event(event, out);
        }
        written
    }

    fn going_on(response: Value, passed: &mut Passed, id: &str, out: &mut String) -> Self {
        let open = passed.open.take();
        let kind = open.as_ref().map(|open| open.kind.clone());
        let mut written = Self {
            response,
            sequence: Sequence::resume(kind),
            number: passed.next_number,
            next: passed.next_index,
            open,
            items: passed.items(),
        };
        if let Some(open) = &written.open {
            // a thought or a message that has no part yet cannot be gone on with
            let has_begun = !open.said.is_empty();
            if !has_begun {
                written.sequence = Sequence::default();
                written.steps(vec![Step::Close], id, out);
            }
        }
        written
    }

    fn event(&mut self, (name, fields): Event, out: &mut String) {
        let mut data = json!({"type": name, "sequence_number": self.number});
        if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
            data.extend(fields);
        }
        self.number = self.number.saturating_add(1);
        out.push_str(&named_event(name, &data.to_string()));
    }

    fn steps(&mut self, steps: Vec<Step>, id: &str, out: &mut String) {
        for step in steps {
            let events = match step {
                Step::Open(kind) => {
                    let block = Block::new(kind, id, self.next);
                    self.next = self.next.saturating_add(1);
                    self.open.insert(block).open(id)
                }
                Step::Grow(text) => {
                    let open = self.open.as_mut();
                    open.map(|open| open.grow(&text)).into_iter().collect()
                }
                Step::Close => match self.open.take() {
                    Some(block) => {
                        self.items.push(block.item(id, true));
                        block.close(id)
                    }
                    None => Vec::new(),
                },
            };
            for event in events {
                self.event(event, out);
            }
        }
    }

    /// The last event, with the whole response.
    fn end(&mut self, finish: &FinishReason, usage: Option<&Usage>, model: &str, out: &mut String) {
        let mut response = self.response.clone();
        response["model"] = json!(model);
        written::end(
            &mut response,
            finish,
            std::mem::take(&mut self.items),
            usage,
        );
        let name = match response["status"] == "completed" {
            true => "response.completed",
            false => "response.incomplete",
        };
        self.event((name, json!({"response": response})), out);
    }

    fn fail(&mut self, error: &Error, out: &mut String) {
        let status = errors::status_within(error);
        let (kind, code) = errors::openai_words(error.kind(), status);
        let code = code.unwrap_or(kind);
        let message = error.message();
        let event = json!({"code": code, "message": message, "param": null});
        self.event(("error", event), out);
        let mut response = self.response.clone();
        response["status"] = json!("failed");
        response["error"] = json!({"code": code, "message": message});
        response["output"] = Value::Array(std::mem::take(&mut self.items));
        self.event(("response.failed", json!({"response": response})), out);
    }
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
        match self.passes && self.written.is_none() && !delta.frame.is_empty() {
            true => self.pass(&delta),
            false => self.write(delta),
        }
    }

    fn finish(&mut self) -> Bytes {
        if std::mem::replace(&mut self.closed, true) || self.finished {
            return Bytes::new();
        }
        let mut out = String::new();
        let finish = self.finish.clone().unwrap_or(FinishReason::Stop);
        let (usage, model, id) = (self.usage, self.model.clone(), self.told.id.clone());
        let written = self.written(&mut out);
        let steps = written.sequence.end();
        written.steps(steps, &id, &mut out);
        written.end(&finish, usage.as_ref(), &model, &mut out);
        Bytes::from(out)
    }

    fn fail(&mut self, error: &Error) -> Bytes {
        if std::mem::replace(&mut self.closed, true) || self.finished {
            return Bytes::new();
        }
        let mut out = String::new();
        self.written(&mut out);
        if let Some(written) = &mut self.written {
            written.fail(error, &mut out);
        }
        Bytes::from(out)
    }
}
