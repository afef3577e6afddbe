//! A client's model that remembers what it was asked, and tools whose results are held to their schemas.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use antiphon::{
    Config, Error, ErrorKind, Spent,
    core::{
        BoxFuture, ChatRequest, ChatResponse, Model, Schema, SharedModel, SystemClock,
        chat::{Body, Content},
    },
    tools::{Call, Models, Progress, Step, Tool, tools},
};
use antiphon_sim::{SimConfig, SimModel};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

/// The tools of a configuration.
pub(crate) fn tools_of(toml: &str, usual: Option<&str>) -> Vec<Arc<dyn Tool>> {
    let config = Config::from_toml(toml).unwrap();
    let usual = usual.map(str::to_owned);
    tools(&Models::new(config, usual, CancellationToken::new()))
}

/// The tools where nothing is configured.
pub(crate) fn bare_tools() -> Vec<Arc<dyn Tool>> {
    tools_of("", None)
}

pub(crate) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

/// Uses a tool; its result fits its schema, and names nothing that the schema does not.
pub(crate) async fn used(
    tools: &[Arc<dyn Tool>],
    name: &str,
    arguments: Value,
    call: Call,
) -> Result<Value, Error> {
    let tool = tools.iter().find(|tool| tool.facts().name == name).unwrap();
    let result = tool.call(fields(arguments), call).await?;
    let schema = Schema::new(closed(Value::Object(tool.facts().output))).unwrap();
    if let Err(off) = schema.validate(&result) {
        panic!("{name}: {off}\n{result:#}");
    }
    Ok(result)
}

/// The schema, with objects that have no further properties than those it names.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(fields) => {
            for value in fields.values_mut() {
                *value = closed(value.take());
            }
            if fields.get("properties").is_some_and(Value::is_object) {
                fields
                    .entry("additionalProperties")
                    .or_insert(Value::Bool(false));
            }
        }
        Value::Array(values) => {
            for value in values {
                *value = closed(value.take());
            }
        }
        _ => {}
    }
    schema
}

/// A call of a client without a model.
pub(crate) fn without_model() -> Call {
    let message = "this client lends no model: it has not declared the capability `sampling`";
    Call::with_model(Err(Error::new(ErrorKind::Unsupported, message)))
}

/// A client's model. Its words are the simulator's; it tells no tokens.
#[derive(Debug)]
pub(crate) struct Client {
    sim: SimModel,
    asked: Mutex<Vec<String>>,
    /// Requests with such a word in them fail like this.
    fails: Vec<(String, Error)>,
    /// Requests with such a word in them are answered like this.
    says: Vec<(String, String)>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
    /// Answers nothing.
    is_silent: bool,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            sim: SimModel::new("m", SimConfig::default(), SystemClock::shared()),
            asked: Mutex::default(),
            fails: Vec::new(),
            says: Vec::new(),
            in_flight: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            is_silent: false,
        }
    }

    pub(crate) fn failing(mut self, word: &str, kind: ErrorKind, message: &str) -> Self {
        let error = Error::new(kind, message);
        self.fails.push((word.to_owned(), error));
        self
    }

    pub(crate) fn saying(mut self, word: &str, text: &str) -> Self {
        self.says.push((word.to_owned(), text.to_owned()));
        self
    }

    pub(crate) fn silent(mut self) -> Self {
        self.is_silent = true;
        self
    }

    pub(crate) fn call(self: &Arc<Self>) -> Call {
        Call::with_model(Ok(Arc::clone(self) as SharedModel))
    }

    /// All that it was asked, in the order in which it was.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(SeqCst)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(SeqCst)
    }
}

struct Out<'a>(&'a AtomicUsize);

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Everything of a request that a model sees, and the number of its sample.
pub(crate) fn told(request: &ChatRequest) -> String {
    let messages = request.messages.iter().map(|message| {
        let text = match &message.content {
            Some(Content::Text(text)) => text.as_str(),
            _ => "",
        };
        format!("{:?}: {text}", message.role)
    });
    let messages: Vec<String> = messages.collect();
    let schema = request.schema.as_ref().map(Schema::json);
    format!(
        "{}\n{:?}\n{schema:?}\n{}",
        messages.join("\n"),
        request.params,
        request.sample
    )
}

impl Model for Client {
    fn name(&self) -> &str {
        "client"
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let now = self.in_flight.fetch_add(1, SeqCst) + 1;
            let _out = Out(&self.in_flight);
            self.peak.fetch_max(now, SeqCst);
            let told = told(&request);
            self.asked.lock().unwrap().push(told.clone());
            // others come in
            tokio::task::yield_now().await;
            if self.is_silent {
                std::future::pending::<()>().await;
            }
            let is_in = |(word, _): &&(String, Error)| told.contains(word);
            if let Some((_, error)) = self.fails.iter().find(is_in) {
                return Err(error.clone());
            }
            let mut reply = self.sim.call(request).await?.whole().await?;
            if let Some((_, text)) = self.says.iter().find(|(word, _)| told.contains(word)) {
                reply.answer.text.clone_from(text);
            }
            reply.answer.spent = Spent::answer(None);
            reply.head.model = "a-model".to_owned();
            Ok(ChatResponse {
                head: reply.head,
                body: Body::Ready(reply.answer),
            })
        })
    }
}

/// What a call tells of its progress: how much of how much is done, at each step.
pub(crate) fn heard(call: Call) -> (Call, impl FnMut() -> Vec<(u64, Option<u64>)>) {
    let (progress, mut heard) = Progress::heard();
    let steps = move || {
        let step = |Step { done, total, .. }| (done, total);
        std::iter::from_fn(|| heard.try_recv().ok())
            .map(step)
            .collect()
    };
    (call.with_progress(progress), steps)
}

/// Documents a, b, c, …
pub(crate) fn documents(number: usize) -> Value {
    let document = |index: usize| {
        let text = format!("This is text number-{index}, and it is about a thing.");
        json!({"id": format!("doc-{index}"), "text": text})
    };
    (0..number).map(document).collect()
}

/// Arguments of every tool, good ones.
pub(crate) fn examples() -> Vec<(&'static str, Value)> {
    let schema = json!({
        "type": "object", "required": ["score"], "additionalProperties": false,
        "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 10}},
    });
    vec![
        (
            "ask",
            json!({"prompt": "Why?", "system": "Be short.", "max_tokens": 50}),
        ),
        ("ensemble", json!({"prompt": "Why?", "n": 3})),
        ("ensemble", json!({"prompt": "Why?", "n": 1})),
        (
            "ensemble",
            json!({"prompt": "Why?", "n": 4, "decider": "judge", "max_tokens": 90}),
        ),
        (
            "ensemble",
            json!({"prompt": "Why?", "n": 3, "decider": "synthesize"}),
        ),
        (
            "ensemble",
            json!({"prompt": "Why?", "n": 5, "decider": "vote"}),
        ),
        (
            "ensemble",
            json!({"prompt": "How good?", "n": 5, "decider": "vote", "schema": schema}),
        ),
        (
            "ensemble",
            json!({"prompt": "How good?", "n": 3, "schema": schema}),
        ),
        (
            "map_reduce",
            json!({"documents": documents(3), "map": "List it.", "reduce": "Merge it."}),
        ),
        (
            "map_reduce",
            json!({"documents": documents(1), "map": "List it.", "reduce": "Merge it."}),
        ),
        (
            "analyze_documents",
            json!({"documents": documents(3), "kind": "summary"}),
        ),
        (
            "analyze_documents",
            json!({"documents": documents(3), "kind": "sentiment"}),
        ),
        (
            "analyze_documents",
            json!({"documents": documents(2), "kind": "extract", "fields": ["date", "sum"]}),
        ),
        (
            "analyze_documents",
            json!({"documents": documents(3), "kind": "classify", "categories": ["x", "y"]}),
        ),
        (
            "review",
            json!({"documents": documents(3), "question": "What is it about?"}),
        ),
        (
            "review",
            json!({"documents": documents(40), "question": "What is it about?", "max_tokens": 500}),
        ),
    ]
}
