//! [`Validate`]: an answer that must fit a schema does, or is asked for again.

use std::sync::Arc;

use crate::{
    Answer, Body, BoxFuture, ChatRequest, ChatResponse, Error, Head, Message, Model, SharedModel,
    Spent,
    chat::{Delivery, Reply, Role},
    job::AnsweredAttempt,
    schema::{OffSchema, Schema},
};

/// How often an answer is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidateConfig {
    /// Asks after the first.
    pub max_reasks: u32,
}

impl Default for ValidateConfig {
    fn default() -> Self {
        Self { max_reasks: 2 }
    }
}

/// The layer. Requests without a schema pass untouched, those whose caller judges, and answers that call tools.
///
/// An answer that does not fit is put into the conversation with what is wrong with it, and asked for again; each was
/// paid for, so each is recorded in the request's journal first, and a run that was killed goes on where it stood. A
/// refusal or an answer that was cut off would come out the same again, so those are final at once.
///
/// With a schema there is nothing to show before the end, so the answer is asked for and given whole. Its head counts the
/// attempts of all asks of this run, and in [`Head::earlier`] (or [`Error::spent`]) what all earlier ones used, those of
/// earlier runs included.
#[derive(Debug)]
pub struct Validate {
    inner: SharedModel,
    config: ValidateConfig,
}

impl Validate {
    /// Checks the answers of `inner`.
    pub fn new(inner: SharedModel, config: ValidateConfig) -> Self {
        Self { inner, config }
    }

    async fn ask(&self, mut request: ChatRequest, schema: Schema) -> Result<ChatResponse, Error> {
        request.delivery = Delivery::Whole;
        let question = Arc::clone(&request.messages);
        let journal = request.journal.clone();
        let mut faulty = journal.as_ref().map_or(Vec::new(), |j| j.earlier());
        let mut attempts = 0;
        loop {
            let used = spent_on(&faulty);
            if let Some(last) = faulty.last()
                && faulty.len() > self.config.max_reasks as usize
            {
                // the run was killed between the last answer and its outcome
                return Err(Error::from(OffSchema(last.fault.clone())).with_spent(used));
            }
            request.messages = conversation(&question, &faulty);
            let response = self.inner.call(request.clone()).await;
            let whole = match response {
                Ok(response) => response.whole().await,
                Err(error) => Err(error),
            };
            let Reply { mut head, answer } = whole.map_err(|error| {
                let total = attempts + error.attempts();
                let spent = used + error.spent();
                error.with_attempts(total).with_spent(spent)
            })?;
            attempts += head.attempts;
            let fault = match judge(&schema, &answer) {
                Judged::Fits => {
                    head.attempts = attempts;
                    head.earlier += used;
                    let body = Body::Ready(answer);
                    return Ok(ChatResponse { head, body });
                }
                Judged::Final(error) => return Err(paid(error, &head, answer, attempts, used)),
                Judged::Off(fault) => fault,
            };
            if faulty.len() >= self.config.max_reasks as usize {
                return Err(paid(OffSchema(fault).into(), &head, answer, attempts, used));
            }
            let spent = answer.spent + head.earlier;
            let attempt = AnsweredAttempt {
                text: answer.text,
                fault,
                spent,
            };
            if let Some(journal) = &journal {
                let recorded = journal.record(attempt.clone()).await;
                recorded.map_err(|error| error.with_attempts(attempts).with_spent(used + spent))?;
            }
            // only now that the answer is durable may its receipt go
            drop(head);
            faulty.push(attempt);
        }
    }
}

impl Model for Validate {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        let schema = request.schema.clone().filter(|_| !request.is_unjudged);
        match schema {
            None => self.inner.call(request),
            Some(schema) => Box::pin(self.ask(request, schema)),
        }
    }
}

enum Judged {
    Fits,
    /// What is wrong with it.
    Off(String),
    Final(Error),
}

fn judge(schema: &Schema, answer: &Answer) -> Judged {
    if let Err(error) = answer.complete() {
        return Judged::Final(error);
    }
    if !answer.tool_calls.is_empty() {
        return Judged::Fits;
    }
    match schema.accept(&answer.text) {
        Ok(_) => Judged::Fits,
        Err(OffSchema(fault)) => Judged::Off(fault),
    }
}

/// An error in spite of an answer: what came and what it used is kept.
fn paid(error: Error, head: &Head, answer: Answer, attempts: u32, used: Spent) -> Error {
    error
        .with_status(head.status)
        .with_request_id(head.request_id.clone())
        .with_body(answer.body)
        .with_attempts(attempts)
        .with_spent(used + head.earlier + answer.spent)
}

/// The question, then each faulty answer with what is wrong with it.
fn conversation(question: &Arc<Vec<Message>>, faulty: &[AnsweredAttempt]) -> Arc<Vec<Message>> {
    if faulty.is_empty() {
        return Arc::clone(question);
    }
    let mut messages = Vec::clone(question);
    for AnsweredAttempt { text, fault, .. } in faulty {
        let correction = format!(
            "Your answer does not fit the JSON Schema: {fault}\nAnswer again, with the corrected JSON only."
        );
        messages.push(Message::text(Role::Assistant, text.clone()));
        messages.push(Message::text(Role::User, correction));
    }
    Arc::new(messages)
}

fn spent_on(faulty: &[AnsweredAttempt]) -> Spent {
    Spent::sum(faulty.iter().map(|attempt| attempt.spent))
}
