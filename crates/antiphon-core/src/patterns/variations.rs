//! [`Variations`]: different answers to one request.

use std::{collections::HashSet, sync::Arc};

use super::{BatchOutcome, batch};
use crate::{ChatRequest, Message, Reply, SharedModel};

/// Rounds in which answers that came twice are asked for again.
const USUAL_REASKS: u32 = 2;

/// Asks one thing several times and gives different answers.
///
/// The first round goes out at once. An answer that says the same as an earlier one (spaces and case aside) is shown to the
/// model and another one asked for, a bounded number of times. Answers that are still the same then are given as they are.
#[derive(Debug)]
pub struct Variations {
    model: SharedModel,
    request: ChatRequest,
    count: usize,
    max_concurrent: Option<usize>,
    max_reasks: u32,
}

impl Variations {
    /// So many answers to a request.
    pub fn new(model: SharedModel, request: impl Into<ChatRequest>, count: usize) -> Self {
        Self {
            model,
            request: request.into(),
            count,
            max_concurrent: None,
            max_reasks: USUAL_REASKS,
        }
    }

    /// With so many calls in flight at most; all at once where nothing is said.
    #[must_use]
    pub fn with_max_concurrent(mut self, calls: usize) -> Self {
        self.max_concurrent = Some(calls);
        self
    }

    /// With so many further rounds for answers that came twice; 2 where nothing is said, 0 takes answers as they come.
    #[must_use]
    pub fn with_max_reasks(mut self, rounds: u32) -> Self {
        self.max_reasks = rounds;
        self
    }

    /// Asks and waits for all answers: one outcome for each, in no meaningful order. The usage of a reply holds what the
    /// answers in whose place it stands have used.
    pub async fn run(self) -> Vec<BatchOutcome> {
        let all = (0..self.count).map(|_| self.request.clone()).collect();
        let mut outcomes = self.ask(all).await;
        for _ in 0..self.max_reasks {
            let doubled = doubled(&outcomes);
            if doubled.is_empty() {
                break;
            }
            let said = distinct(&outcomes);
            let numbers = said.len() + 1..;
            let requests = doubled.iter().zip(numbers);
            let requests = requests
                .map(|(_, number)| self.another(&said, number))
                .collect();
            for (index, new) in doubled.into_iter().zip(self.ask(requests).await) {
                replace(&mut outcomes[index], new);
            }
        }
        outcomes
    }

    async fn ask(&self, requests: Vec<ChatRequest>) -> Vec<BatchOutcome> {
        let limit = self.max_concurrent.unwrap_or(requests.len());
        batch(Arc::clone(&self.model), requests)
            .max_concurrent(limit)
            .run()
            .await
            .outcomes
    }

    /// The request, with what has been said and that something else is wanted. The number keeps a model that always says the
    /// same to the same request from doing so.
    fn another(&self, said: &[String], number: usize) -> ChatRequest {
        let mut request = self.request.clone();
        let last = said.len();
        for (index, text) in said.iter().enumerate() {
            let number = if index + 1 == last { number } else { index + 2 };
            request = request
                .with_message(Message::assistant(text.as_str()))
                .with_message(Message::user(format!(
                    "Give another answer to the same request, answer number {number}, different from those before."
                )));
        }
        request
    }
}

/// Indices of answers that say the same as an earlier one.
fn doubled(outcomes: &[BatchOutcome]) -> Vec<usize> {
    let mut said = HashSet::new();
    let answers = outcomes.iter().enumerate();
    answers
        .filter_map(|(index, outcome)| Some((index, outcome.result.as_ref().ok()?)))
        .filter(|(_, reply)| !said.insert(gist(reply)))
        .map(|(index, _)| index)
        .collect()
}

/// The texts that were given, each once.
fn distinct(outcomes: &[BatchOutcome]) -> Vec<String> {
    let mut said = HashSet::new();
    let replies = outcomes
        .iter()
        .filter_map(|outcome| outcome.result.as_ref().ok());
    replies
        .filter(|reply| said.insert(gist(reply)))
        .map(|reply| reply.text().to_owned())
        .collect()
}

fn gist(reply: &Reply) -> String {
    let words: Vec<&str> = reply.text().split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Puts a new answer in the place of one that came twice; where asking again failed, the old one stays.
fn replace(old: &mut BatchOutcome, new: BatchOutcome) {
    let (Ok(reply), paid) = (&mut old.result, new.spent()) else {
        return;
    };
    match new.result {
        Err(_) => reply.head.earlier += paid,
        Ok(mut better) => {
            if !reply.head.cached {
                better.head.earlier += reply.spent();
            }
            better.head.attempts += reply.head.attempts;
            old.duration += new.duration;
            old.result = Ok(better);
        }
    }
}
