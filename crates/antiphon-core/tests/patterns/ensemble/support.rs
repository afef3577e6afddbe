//! Models that do what the test says, and a journal that outlives its call.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use antiphon_core::{
    Answer, Body, BoxFuture, ChatRequest, ChatResponse, Error, ErrorKind, FinishReason, Head,
    Model, Reply, Schema, SharedModel, Usage,
    chat::{Content, Decision, Gathered, Receipt},
    job::{AnsweredAttempt, AttemptJournal},
    patterns::ensemble::{Decider, Ensemble, EnsembleConfig},
};
use serde_json::{Value, json};

pub(crate) type Outcome = Result<ChatResponse, Error>;
type Script = dyn Fn(usize, ChatRequest) -> BoxFuture<'static, Outcome> + Send + Sync;

/// Calls are numbered from 0; the script answers each by its number.
pub(crate) struct Scripted {
    name: String,
    script: Box<Script>,
    requests: Mutex<Vec<ChatRequest>>,
    /// Calls that were dropped before their answer, or are under way.
    pub(crate) open: Arc<AtomicUsize>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Scripted {
    pub(crate) fn new<F>(
        name: &str,
        script: impl Fn(usize, ChatRequest) -> F + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        Arc::new(Self {
            name: name.to_owned(),
            script: Box::new(move |number, request| Box::pin(script(number, request))),
            requests: Mutex::default(),
            open: Arc::default(),
        })
    }

    pub(crate) fn calls(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(crate) fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap().clone()
    }
}

impl Model for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Outcome> {
        let mut requests = self.requests.lock().unwrap();
        let call = (self.script)(requests.len(), request.clone());
        requests.push(request);
        self.open.fetch_add(1, SeqCst);
        let open = self.open.clone();
        let name = self.name.clone();
        Box::pin(async move {
            let mut response = call.await?;
            open.fetch_sub(1, SeqCst);
            if response.head.model.is_empty() {
                response.head.model = name;
            }
            Ok(response)
        })
    }
}

/// Always says the same, at once.
pub(crate) fn saying(name: &str, text: impl Into<String>) -> Arc<Scripted> {
    let text = text.into();
    Scripted::new(name, move |_, _| {
        let text = text.clone();
        async move { ready(&text) }
    })
}

/// Says the same after so many seconds.
pub(crate) fn slow(name: &str, text: &str, seconds: u64) -> Arc<Scripted> {
    let text = text.to_owned();
    Scripted::new(name, move |_, _| {
        let text = text.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            ready(&text)
        }
    })
}

/// Always fails.
pub(crate) fn failing(name: &str, kind: ErrorKind, message: &str) -> Arc<Scripted> {
    let message = message.to_owned();
    Scripted::new(name, move |_, _| {
        let error = Error::new(kind, message.clone()).with_attempts(1);
        async move { Err(error) }
    })
}

pub(crate) fn answer(text: &str) -> Answer {
    Answer {
        text: text.to_owned(),
        finish_reason: FinishReason::Stop,
        reasoning: None,
        refusal: None,
        tool_calls: Vec::new(),
        model: None,
        spent: antiphon_core::Spent::answer(Some(used(1))),
        body: text.as_bytes().to_vec().into(),
        latency: Duration::from_secs(1),
    }
}

/// The tokens of so many answers.
pub(crate) fn used(answers: u64) -> Usage {
    Usage {
        input_tokens: 10 * answers,
        output_tokens: 5 * answers,
        ..Usage::default()
    }
}

pub(crate) fn ready(text: &str) -> Outcome {
    said(answer(text))
}

pub(crate) fn said(answer: Answer) -> Outcome {
    Ok(ChatResponse {
        head: Head {
            status: 200,
            attempts: 1,
            ..Head::default()
        },
        body: Body::Ready(answer),
    })
}

/// Counts how many receipts are held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<AtomicUsize>);

struct One(Arc<AtomicUsize>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Held {
    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// Says the same, with a receipt.
    pub(crate) fn saying(&self, name: &str, text: &str) -> Arc<Scripted> {
        let (held, text) = (self.0.clone(), text.to_owned());
        Scripted::new(name, move |_, _| {
            held.fetch_add(1, SeqCst);
            let receipt = Receipt::new(One(held.clone()));
            let response = ready(&text).map(|mut response| {
                response.head.receipt = Some(receipt);
                response
            });
            async move { response }
        })
    }
}

/// `{"x": integer}`.
pub(crate) fn x_schema() -> Schema {
    Schema::new(json!({
        "type": "object", "required": ["x"], "additionalProperties": false,
        "properties": {"x": {"type": "integer"}}
    }))
    .unwrap()
}

pub(crate) fn structured() -> ChatRequest {
    ChatRequest {
        schema: Some(x_schema()),
        ..ChatRequest::prompt("what is x?")
    }
}

pub(crate) fn shared(models: &[&Arc<Scripted>]) -> Vec<SharedModel> {
    models
        .iter()
        .map(|model| Arc::clone(*model) as SharedModel)
        .collect()
}

/// An ensemble of these models with the usual settings.
pub(crate) fn ensemble(models: &[&Arc<Scripted>], decider: Decider) -> Ensemble {
    Ensemble::new(shared(models), decider, EnsembleConfig::default()).unwrap()
}

pub(crate) async fn ask(model: &dyn Model, request: ChatRequest) -> Result<Reply, Error> {
    model.call(request).await?.whole().await
}

pub(crate) fn gathered(reply: &Reply) -> &Gathered {
    reply.head.gathered.as_ref().unwrap()
}

pub(crate) fn decision(reply: &Reply) -> &Decision {
    gathered(reply).decision.as_ref().unwrap()
}

/// The code of each member's error; `ok` where it has an answer.
pub(crate) fn codes(reply: &Reply) -> Vec<&str> {
    let members = gathered(reply).members.iter();
    members
        .map(|member| member.error.as_ref().map_or("ok", |error| &error.code))
        .collect()
}

/// The text of a request's last message.
pub(crate) fn last_text(request: &ChatRequest) -> String {
    match &request.messages.last().unwrap().content {
        Some(Content::Text(text)) => text.clone(),
        other => panic!("{other:?} is no text"),
    }
}

/// The candidates that a decision maker was shown, in their order.
pub(crate) fn shown(request: &ChatRequest) -> Vec<Value> {
    let text = last_text(request);
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What a decision maker writes under `decide`.
pub(crate) fn decided(selected: &[usize], answer: Value) -> String {
    json!({"reason": "it is best", "selected": selected, "answer": answer}).to_string()
}

#[derive(Debug, Default)]
struct Pages {
    answers: Mutex<BTreeMap<String, String>>,
    /// Answers as earlier runs left them.
    earlier: Mutex<BTreeMap<String, String>>,
    broken: Mutex<bool>,
}

/// A row's journal: parts record answers, which only the next run finds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notebook {
    pages: Arc<Pages>,
    part: String,
}

impl Notebook {
    pub(crate) fn journal(&self) -> Option<Arc<dyn AttemptJournal>> {
        Some(Arc::new(self.clone()))
    }

    /// The run was killed and a new one begins.
    pub(crate) fn restart(&self) {
        let answers = self.pages.answers.lock().unwrap().clone();
        *self.pages.earlier.lock().unwrap() = answers;
    }

    pub(crate) fn break_down(&self) {
        *self.pages.broken.lock().unwrap() = true;
    }

    /// Names of the parts with an answer; of a decision without what it is about.
    pub(crate) fn parts(&self) -> Vec<String> {
        let answers = self.pages.answers.lock().unwrap();
        let parts = answers.keys();
        parts
            .map(|part| part.split('/').next().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn forget(&self, part: &str) {
        let mut answers = self.pages.answers.lock().unwrap();
        answers.retain(|name, _| !name.starts_with(part));
    }
}

impl AttemptJournal for Notebook {
    fn earlier(&self) -> Vec<AnsweredAttempt> {
        Vec::new()
    }
    fn record(&self, _: AnsweredAttempt) -> BoxFuture<'_, Result<(), Error>> {
        unreachable!("an ensemble records answers of its parts")
    }
    fn part(&self, name: &str) -> Arc<dyn AttemptJournal> {
        let part = match self.part.as_str() {
            "" => name.to_owned(),
            part => format!("{part}/{name}"),
        };
        Arc::new(Self {
            part,
            pages: self.pages.clone(),
        })
    }
    fn answer(&self) -> Option<Reply> {
        let earlier = self.pages.earlier.lock().unwrap();
        Reply::from_record(earlier.get(&self.part)?)
    }
    fn record_answer(&self, reply: &Reply) -> BoxFuture<'_, Result<(), Error>> {
        let record = reply.to_record();
        Box::pin(async move {
            // a commit takes its time
            tokio::task::yield_now().await;
            if *self.pages.broken.lock().unwrap() {
                return Err(Error::stopped("the ledger cannot be written"));
            }
            let mut answers = self.pages.answers.lock().unwrap();
            answers.insert(self.part.clone(), record);
            Ok(())
        })
    }
}
