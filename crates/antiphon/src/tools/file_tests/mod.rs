//! `run_file` and `job_status` as clients use them.

mod asking;
mod ending;

use std::{fs, path::Path, sync::Arc};

use antiphon_core::{
    BoxFuture, ChatRequest, ChatResponse, Error, ErrorKind, Limits, Model, Schema, SharedModel,
    Spent,
    chat::{Answer, Body, FinishReason, Head},
};
use antiphon_mcp::{Call, Tool};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{Folder, Models, tools};
use crate::{
    Config, env,
    run::{Input, Output, PreparedRun, RunOptions},
};

/// A client's model whose answers the test gives.
#[derive(Debug)]
struct Client(mpsc::UnboundedSender<Asked>);

struct Asked {
    prompt: String,
    answer: oneshot::Sender<Result<String, Error>>,
}

impl Asked {
    fn answer(self, result: Result<&str, Error>) {
        self.answer.send(result.map(ToOwned::to_owned)).unwrap();
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Connection, "the client is gone")
        .with_should_retry(Some(false))
        .stopping_the_run()
}

impl Model for Client {
    fn name(&self) -> &str {
        "client"
    }

    fn limits(&self) -> Limits {
        Limits {
            concurrency: std::num::NonZeroU32::new(4),
        }
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let content = request.messages.last().unwrap().content.clone();
            let prompt = match content {
                Some(antiphon_core::chat::Content::Text(text)) => text,
                other => panic!("{other:?}"),
            };
            let asked = Asked { prompt, answer };
            self.0.send(asked).map_err(|_| gone())?;
            let text = answered.await.map_err(|_| gone())??;
            Ok(ChatResponse {
                head: Head {
                    model: "its own".to_owned(),
                    status: 200,
                    attempts: 1,
                    ..Head::default()
                },
                body: Body::Ready(Answer {
                    text,
                    finish_reason: FinishReason::Stop,
                    reasoning: None,
                    refusal: None,
                    tool_calls: Vec::new(),
                    model: None,
                    spent: Spent::default(),
                    body: bytes::Bytes::from_static(b"{}"),
                    latency: std::time::Duration::ZERO,
                }),
            })
        })
    }
}

/// A server in a folder of its own, and a client of it.
struct Stage {
    folder: TempDir,
    tools: Vec<Arc<dyn Tool>>,
    model: SharedModel,
    asked: mpsc::UnboundedReceiver<Asked>,
}

const CONFIG: &str = "[providers.sim]\nlatency = \"0ms\"\n";

impl Stage {
    fn new(rows: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = (0..rows)
            .map(|row| {
                json!({"id": format!("r{row}"), "text": format!("text {row}")}).to_string() + "\n"
            })
            .collect();
        fs::write(folder.path().join("in.jsonl"), lines).unwrap();
        let config = Config::from_toml(CONFIG).unwrap();
        let files = Folder::at(folder.path()).unwrap();
        let models = Models::in_folder(config, None, CancellationToken::new(), files);
        let (sender, asked) = mpsc::unbounded_channel();
        Self {
            folder,
            tools: tools(&models),
            model: Arc::new(Client(sender)),
            asked,
        }
    }

    fn tool(&self, name: &str) -> Arc<dyn Tool> {
        let found = self.tools.iter().find(|tool| tool.facts().name == name);
        Arc::clone(found.unwrap())
    }

    /// Calls a tool in a task of its own. The token is the client's that gives it up.
    fn begin(
        &self,
        name: &str,
        arguments: Value,
    ) -> (JoinHandle<Result<Value, Error>>, CancellationToken) {
        let call = Call::with_model(Ok(Arc::clone(&self.model)));
        let token = call.cancelled().clone();
        let tool = self.tool(name);
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object")
        };
        let called = tokio::spawn(async move {
            let result = tool.call(arguments, call).await;
            if let Ok(result) = &result {
                let schema = Schema::new(Value::Object(tool.facts().output)).unwrap();
                schema.validate(result).unwrap();
            }
            result
        });
        (called, token)
    }

    async fn call(&self, name: &str, arguments: Value) -> Result<Value, Error> {
        self.begin(name, arguments).0.await.unwrap()
    }

    /// Begins a run by the client's own model.
    fn run(&self) -> (JoinHandle<Result<Value, Error>>, CancellationToken) {
        self.begin("run_file", lent())
    }

    async fn status(&self) -> Value {
        let found = self
            .call("job_status", json!({"output": "out.jsonl"}))
            .await;
        found.unwrap()
    }

    async fn next(&mut self) -> Asked {
        self.asked.recv().await.unwrap()
    }

    /// The prompts that wait, in their order.
    async fn take(&mut self, number: usize) -> Vec<Asked> {
        let mut taken = Vec::new();
        for _ in 0..number {
            taken.push(self.next().await);
        }
        taken.sort_by(|a, b| a.prompt.cmp(&b.prompt));
        taken
    }

    fn output(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("out.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }
}

fn lent() -> Value {
    json!({"input": "in.jsonl", "output": "out.jsonl", "prompt": "About {{ text }}"})
}

fn rows(result: &Value) -> [u64; 4] {
    ["total", "succeeded", "failed", "pending"].map(|name| result[name].as_u64().unwrap())
}
