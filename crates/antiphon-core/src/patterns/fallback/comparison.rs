//! [`Comparison`]: whether a new answer continues what its reader already has.

use super::parts::{Call, Part, Parts};
use crate::{ChatDelta, chat::ToolCallDelta};

/// The new answer says something else: it does not continue the old one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Differs;

/// Reads an answer that was asked for again beside what was handed out. What is the same is swallowed, the first byte that
/// differs ends it, and what goes beyond is held back until *everything* that was handed out has come again: an answer may
/// agree in its text and differ in its tool calls.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    expected: Vec<Part>,
    /// The parts of the new answer so far.
    seen: Vec<Seen>,
    held: Vec<ChatDelta>,
    repeated: Option<Repeated>,
}

/// A part of the new answer, and how much of it is the same.
#[derive(Debug)]
struct Seen {
    kind: Kind,
    same: usize,
    is_named: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Call(usize),
}

/// A continuation that so far is the beginning of the old answer.
#[derive(Debug)]
struct Repeated {
    old: String,
    same: usize,
}

impl Comparison {
    /// With an answer that is told from its start.
    pub(super) fn with(given: &Parts) -> Self {
        Self {
            expected: given.all().to_vec(),
            ..Self::default()
        }
    }

    /// With an answer that goes on after `old`, of which the model was not shown the last `unseen`: it must begin with that.
    ///
    /// A server that takes no notice of a begun answer tells it from the start once more. So what may be the start told
    /// again is not taken for a continuation, even if it could be one.
    pub(super) fn of_continuation(old: &str, unseen: &str) -> Self {
        Self {
            expected: Parts::of_text(unseen).all().to_vec(),
            repeated: Some(Repeated {
                old: old.to_owned(),
                same: 0,
            }),
            ..Self::default()
        }
    }

    /// Whether all that was handed out has come again.
    pub(super) fn is_caught_up(&self) -> bool {
        let is_same = |(part, seen): (&Part, &Seen)| match part {
            Part::Text(text) | Part::Refusal(text) => seen.same == text.len(),
            Part::Call(call) => {
                seen.same == call.arguments.len() && (seen.is_named || call.name.is_empty())
            }
        };
        self.repeated.is_none()
            && self.seen.len() >= self.expected.len()
            && self.expected.iter().zip(&self.seen).all(is_same)
    }

    /// What goes beyond the old answer, once it has [caught up](Self::is_caught_up).
    pub(super) fn into_beyond(self) -> Vec<ChatDelta> {
        self.held
    }

    /// Takes the next piece of the new answer.
    ///
    /// # Errors
    /// It does not continue the old one: it differs, or it is complete and shorter.
    pub(super) fn take(&mut self, delta: ChatDelta) -> Result<(), Differs> {
        self.check_repeated(&delta)?;
        let mut beyond = ChatDelta {
            refusal: delta.refusal.clone().filter(String::is_empty),
            finish_reason: delta.finish_reason,
            usage: delta.usage,
            ..ChatDelta::default()
        };
        if !delta.text.is_empty() {
            beyond.text = self.rest(Kind::Text, &delta.text)?.to_owned();
        }
        if let Some(piece) = delta.refusal.as_deref().filter(|piece| !piece.is_empty()) {
            let rest = self.rest(Kind::Refusal, piece)?;
            beyond.refusal = (!rest.is_empty()).then(|| rest.to_owned());
        }
        for piece in delta.tool_calls {
            beyond.tool_calls.extend(self.rest_of_call(piece)?);
        }
        let is_finished = beyond.finish_reason.is_some();
        if beyond.has_content() || is_finished {
            self.held.push(beyond);
        }
        match is_finished && !self.is_caught_up() {
            true => Err(Differs),
            false => Ok(()),
        }
    }

    /// Looks whether a continuation is the old answer once more.
    fn check_repeated(&mut self, delta: &ChatDelta) -> Result<(), Differs> {
        let Some(Repeated { old, same }) = &mut self.repeated else {
            return Ok(());
        };
        let left = &old.as_bytes()[*same..];
        let common = left.len().min(delta.text.len());
        if left[..common] != delta.text.as_bytes()[..common] {
            self.repeated = None;
            return Ok(());
        }
        *same += common;
        let says_more = delta.finish_reason.is_some()
            || !delta.tool_calls.is_empty()
            || delta.refusal.is_some();
        if *same == old.len() || (says_more && *same > 0) {
            return Err(Differs);
        }
        if says_more {
            self.repeated = None;
        }
        Ok(())
    }

    /// What of a piece of text goes beyond the old answer.
    fn rest<'a>(&mut self, kind: Kind, piece: &'a str) -> Result<&'a str, Differs> {
        let at = match self.seen.last() {
            Some(last) if last.kind == kind => self.seen.len() - 1,
            _ => self.open(kind)?,
        };
        let Some(part) = self.expected.get(at) else {
            return Ok(piece);
        };
        let (Part::Text(old) | Part::Refusal(old)) = part else {
            return Err(Differs);
        };
        let rest = beyond(piece, old, &mut self.seen[at].same)?;
        // the old answer had gone on to something else
        match !rest.is_empty() && at + 1 < self.expected.len() {
            true => Err(Differs),
            false => Ok(rest),
        }
    }

    /// What of a piece of a tool call goes beyond. The id that was handed out stays, whatever the new answer calls it.
    fn rest_of_call(&mut self, mut piece: ToolCallDelta) -> Result<Option<ToolCallDelta>, Differs> {
        let kind = Kind::Call(piece.index);
        let at = match self.seen.iter().position(|seen| seen.kind == kind) {
            Some(at) => at,
            None => self.open(kind)?,
        };
        let Some(part) = self.expected.get(at) else {
            return Ok(Some(piece));
        };
        let Part::Call(Call {
            has_id,
            name,
            arguments,
            ..
        }) = part
        else {
            return Err(Differs);
        };
        let seen = &mut self.seen[at];
        if *has_id {
            piece.id = None;
        }
        piece.name = piece.name.filter(|named| !named.is_empty());
        if let Some(named) = piece.name.take_if(|_| !name.is_empty()) {
            if named != *name {
                return Err(Differs);
            }
            seen.is_named = true;
        }
        piece.arguments = beyond(&piece.arguments, arguments, &mut seen.same)?.to_owned();
        let is_more = piece.id.is_some() || piece.name.is_some() || !piece.arguments.is_empty();
        Ok(is_more.then_some(piece))
    }

    /// Begins the next part of the new answer, which must be of the kind that it was.
    fn open(&mut self, kind: Kind) -> Result<usize, Differs> {
        let at = self.seen.len();
        let is_of_kind = match (self.expected.get(at), kind) {
            (None, _) => true,
            (Some(Part::Text(_)), Kind::Text) | (Some(Part::Refusal(_)), Kind::Refusal) => true,
            (Some(Part::Call(call)), Kind::Call(index)) => call.index == index,
            _ => false,
        };
        // calls may be told side by side, but a text is over when something else begins
        let before = self.seen.last().zip(self.expected.get(at.wrapping_sub(1)));
        let is_cut = before.is_some_and(|(seen, part)| match part {
            Part::Text(text) | Part::Refusal(text) => seen.same < text.len(),
            Part::Call(_) => false,
        });
        if !is_of_kind || is_cut {
            return Err(Differs);
        }
        self.seen.push(Seen {
            kind,
            same: 0,
            is_named: false,
        });
        Ok(at)
    }
}

/// What of the piece is left when `old`, of which so much has come before, has come to its end.
fn beyond<'a>(piece: &'a str, old: &str, same: &mut usize) -> Result<&'a str, Differs> {
    let left = &old.as_bytes()[*same..];
    let common = left.len().min(piece.len());
    if left[..common] != piece.as_bytes()[..common] {
        return Err(Differs);
    }
    *same += common;
    // both end here, or the old text does, which is whole characters
    Ok(&piece[common..])
}
