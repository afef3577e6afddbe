//! [`Replay`]: a tool runs again from its beginning, and its calls are known again.
//!
//! A call is known by the digest of what it asks and of its sample, and by how many equal ones this run has asked before it.
//! That number makes sure that no answer is given twice. Equal calls side by side get an answer each. Whoever asks the same
//! again because the answer was of no use gets another, from the next round: with the digest alone it would get the same bad
//! answer for ever.
#![expect(
    deprecated,
    reason = "sampling is deprecated in this era (SEP-2577), but it is how a client lends its model"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use antiphon_core::{Error, ErrorKind, Fingerprint};
use rmcp::model::{
    CreateMessageRequest, CreateMessageRequestParams, InputRequest, InputRequests, InputResponses,
};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{response, state::Carried};
use crate::sampling::Asked;

/// The most calls of one round. Clients tend to begin all of a map at once.
const MOST_CALLS: usize = 64;
/// The most bytes of the requests of one round, except that the first always travels: clients bound the length of a message,
/// the official library of Rust to 16 MiB, and what is longer never arrives.
const MOST_BYTES: usize = 4 << 20;
/// How often a client is asked the same when it leaves it out of its answers; then it has declined. The protocol wants what
/// is missing to be asked again.
const MOST_ASKED: u32 = 2;

type Answer = oneshot::Sender<Result<Value, Error>>;

/// The calls of one run of a tool.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// What was answered in earlier rounds.
    answers: BTreeMap<String, Value>,
    /// Those of the last round that nobody has asked for yet.
    fresh: BTreeSet<String>,
    has_used_fresh: bool,
    /// What the last round left unanswered, and how often it has been asked.
    left_out: BTreeMap<String, u32>,
    /// How many equal calls this run has asked.
    equals: HashMap<Fingerprint, u32>,
    /// Calls without an answer, as they were asked.
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    key: String,
    request: InputRequest,
    bytes: usize,
    answer: Answer,
}

impl Replay {
    /// A run with what earlier rounds have answered, and with the responses to the last one. Responses to what nobody asked
    /// are passed over.
    pub(super) fn begin(carried: Carried, mut responses: InputResponses) -> Self {
        let Carried { mut answers, asked } = carried;
        let mut fresh = BTreeSet::new();
        let mut left_out = BTreeMap::new();
        for (key, times) in asked {
            match responses.remove(&key) {
                None if times < MOST_ASKED => {
                    left_out.insert(key, times);
                }
                response => {
                    answers.insert(key.clone(), response.unwrap_or_default());
                    fresh.insert(key);
                }
            }
        }
        Self {
            answers,
            fresh,
            left_out,
            ..Self::default()
        }
    }

    /// Takes a call: it is answered at once, or waits.
    pub(super) fn ask(&mut self, asked: Asked) {
        let Asked {
            params,
            sample,
            answer,
        } = asked;
        let text = params.to_string();
        let print = Fingerprint::of_bytes("sampling", format!("{sample} {text}").as_bytes());
        let equals = self.equals.entry(print).or_default();
        let key = format!("{print}-{equals}");
        *equals += 1;
        if let Some(known) = self.answers.get(&key) {
            self.has_used_fresh |= self.fresh.contains(&key);
            // whoever asked may be gone
            let _gone = answer.send(response::read(known));
            return;
        }
        match serde_json::from_value::<CreateMessageRequestParams>(params) {
            Ok(params) => self.waiting.push(Waiting {
                key,
                request: InputRequest::CreateMessage(CreateMessageRequest::new(params)),
                bytes: text.len(),
                answer,
            }),
            Err(error) => {
                let message = format!("the client cannot be asked like this: {error}");
                let error = Error::new(ErrorKind::BadRequest, message).not_sent();
                let _gone = answer.send(Err(error));
            }
        }
    }

    /// Whether somebody waits for an answer.
    pub(super) fn waits(&mut self) -> bool {
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
        !self.waiting.is_empty()
    }

    /// Whether nobody has asked for anything of what was answered last.
    pub(super) fn is_unused(&self) -> bool {
        !self.fresh.is_empty() && !self.has_used_fresh
    }

    /// Whether no further call can travel in this round.
    pub(super) fn is_full(&mut self) -> bool {
        self.waiting.len() >= MOST_CALLS && self.waits() && self.waiting.len() >= MOST_CALLS
    }

    /// What the client is asked in this round, and what it carries to the next. What has no room is asked in the next round.
    ///
    /// # Errors
    /// The tool has asked for nothing of what was answered last: it asks something else each time, and would do so until the
    /// client gives up, at the client's expense.
    pub(super) fn round(&mut self) -> Result<(InputRequests, Carried), Error> {
        if self.is_unused() {
            let message = "the tool asks the client's model something else each time that it runs, with what another model said \
                           in it perhaps, so its answers are of no use; name one model of the configuration with `model`";
            return Err(Error::new(ErrorKind::ServerError, message).with_should_retry(Some(false)));
        }
        let mut requests = InputRequests::new();
        let mut asked = BTreeMap::new();
        let mut bytes = 0;
        for waiting in self.waiting.iter().take(MOST_CALLS) {
            bytes += waiting.bytes;
            if bytes > MOST_BYTES && !requests.is_empty() {
                break;
            }
            let times = self.left_out.get(&waiting.key).copied().unwrap_or(0) + 1;
            requests.insert(waiting.key.clone(), waiting.request.clone());
            asked.insert(waiting.key.clone(), times);
        }
        let answers = std::mem::take(&mut self.answers);
        Ok((requests, Carried { answers, asked }))
    }

    /// Those who still wait.
    pub(super) fn into_waiting(self) -> impl Iterator<Item = Answer> {
        self.waiting.into_iter().map(|waiting| waiting.answer)
    }
}

#[cfg(test)]
mod tests;
