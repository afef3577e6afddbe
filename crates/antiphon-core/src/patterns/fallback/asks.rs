//! [`Asks`]: who is asked to go on with an answer that broke, and how.

use std::collections::VecDeque;

use futures_util::stream;

use super::{comparison::Comparison, parts::Parts};
use crate::{
    Answer, Body, ChatDelta, ChatRequest, ChatResponse, Error, Head, Message, SharedModel,
    chat::{Delivery, DeltaStream, Role, ToolCallDelta},
    makeup::Shares,
    patterns::part::part,
};

/// Asks for one answer: what a caller waits for is bounded, and so is what it pays for.
const MOST_ASKS: u32 = 4;

/// Bytes of text that a token stands for, where the rest of an output cap is counted. Vendors say so of English.
const BYTES_PER_TOKEN: usize = 4;

/// The asks for one answer. The links after the broken one come first, in their order, then the broken one: what broke once
/// mostly does not break again. A link that is alone is asked twice.
#[derive(Debug)]
pub(super) struct Asks {
    links: Vec<SharedModel>,
    broken: usize,
    request: ChatRequest,
    /// Whether the links are asked with shares of the request's sample number.
    is_chain: bool,
    left: Option<VecDeque<(usize, Way)>>,
    made: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// With the begun answer as the last turn of the conversation: the model goes on from there.
    Continue,
    /// With the same request: the model begins again.
    Again,
}

/// One ask.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: SharedModel,
    pub(super) request: ChatRequest,
    pub(super) comparison: Comparison,
    /// Whether the request is the caller's own, so that its refusal is final.
    pub(super) is_plain: bool,
}

impl Asks {
    /// Asks of a chain whose link at `broken` has begun to answer this request.
    pub(super) fn of_chain(links: &[SharedModel], broken: usize, request: ChatRequest) -> Self {
        Self {
            links: links.to_vec(),
            broken,
            request,
            is_chain: true,
            left: None,
            made: 0,
        }
    }

    /// Asks of the one model there is.
    pub(super) fn of_model(model: &SharedModel, request: ChatRequest) -> Self {
        let is_chain = false;
        Self {
            is_chain,
            ..Self::of_chain(std::slice::from_ref(model), 0, request)
        }
    }

    /// The next ask, for the rest of what was given; `None` where there is nobody left.
    pub(super) fn next(&mut self, given: &Parts) -> Option<Ask> {
        let (links, broken) = (self.links.len(), self.broken);
        let left = self.left.get_or_insert_with(|| order(links, broken));
        while self.made < MOST_ASKS {
            let (index, way) = left.pop_front()?;
            let model = &self.links[index];
            let request = match self.is_chain {
                true => part(&self.request, &Shares::of(&self.links), index),
                false => self.request.clone(),
            };
            let (request, comparison) = match way {
                Way::Again => (request, Comparison::with(given)),
                Way::Continue if !model.continues(&request) => continue,
                Way::Continue => match begun(request, given) {
                    Some(begun) => begun,
                    None => continue,
                },
            };
            self.made += 1;
            return Some(Ask {
                model: SharedModel::clone(model),
                request,
                comparison,
                is_plain: way == Way::Again,
            });
        }
        None
    }
}

impl Ask {
    /// Calls, and gives the answer as pieces, a whole one too.
    pub(super) async fn begin(&self) -> Result<(Head, DeltaStream), Error> {
        let ChatResponse { head, body } = self.model.call(self.request.clone()).await?;
        let answer = match body {
            Body::Stream(deltas) => return Ok((head, deltas)),
            Body::Ready(answer) => answer,
            Body::Whole(answer) => answer.await?,
        };
        let piece = Ok(in_one_piece(answer));
        Ok((head, Box::pin(stream::iter([piece]))))
    }
}

fn order(links: usize, broken: usize) -> VecDeque<(usize, Way)> {
    let others = broken + 1..links;
    let last = if others.is_empty() { 2 } else { 1 };
    let order = others.chain(std::iter::repeat_n(broken, last));
    order
        .flat_map(|index| [(index, Way::Continue), (index, Way::Again)])
        .collect()
}

/// The request with the begun answer as its last turn; `None` where it cannot be put so.
fn begun(mut request: ChatRequest, given: &Parts) -> Option<(ChatRequest, Comparison)> {
    let text = given.only_text()?;
    // wire formats refuse a begun turn that ends in white space
    let shown = text.trim_end();
    let is_own = |message: &Message| message.role == Role::Assistant;
    if shown.is_empty() || request.schema.is_some() || request.messages.last().is_some_and(is_own) {
        return None;
    }
    let used = u64::try_from(text.len() / BYTES_PER_TOKEN).unwrap_or(u64::MAX);
    for name in ["max_completion_tokens", "max_tokens", "max_output_tokens"] {
        if let Some(cap) = request.params.get(name).and_then(|cap| cap.as_u64()) {
            let left = cap.checked_sub(used).filter(|left| *left > 0)?;
            request = request.with_param(name, left.into());
        }
    }
    request.delivery = Delivery::Streamed;
    let comparison = Comparison::of_continuation(text, &text[shown.len()..]);
    Some((request.with_message(Message::assistant(shown)), comparison))
}

fn in_one_piece(answer: Answer) -> ChatDelta {
    let calls = answer.tool_calls.into_iter().enumerate();
    ChatDelta {
        text: answer.text,
        reasoning: answer.reasoning,
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
        usage: answer.spent.usage(),
        spent: Some(answer.spent),
        model: answer.model,
        ..ChatDelta::default()
    }
}
