//! Tools for tests.

use std::{fmt, sync::Arc};

use antiphon_core::{BoxFuture, ChatRequest, Error};
use antiphon_mcp::{Call, Effects, Tool, ToolFacts};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

type Work =
    dyn Fn(Map<String, Value>, Call) -> BoxFuture<'static, Result<Value, Error>> + Send + Sync;

/// A tool that does what it is made of.
pub(crate) struct Scripted {
    name: &'static str,
    effects: Effects,
    work: Box<Work>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A tool of this name.
pub(crate) fn tool<F, W>(name: &'static str, work: F) -> Arc<dyn Tool>
where
    F: Fn(Map<String, Value>, Call) -> W + Send + Sync + 'static,
    W: Future<Output = Result<Value, Error>> + Send + 'static,
{
    Arc::new(Scripted {
        name,
        effects: Effects::default(),
        work: Box::new(move |arguments, call| Box::pin(work(arguments, call))),
    })
}

impl Tool for Scripted {
    fn facts(&self) -> ToolFacts {
        let fields = |value: Value| value.as_object().cloned().unwrap_or_default();
        ToolFacts {
            name: self.name,
            title: "A tool",
            description: "Does what a test needs.",
            input: fields(json!({
                "type": "object",
                "properties": {"prompt": {"type": "string"}, "model": {"type": "string"}},
                "required": ["prompt"],
                "additionalProperties": false,
            })),
            output: fields(json!({"type": "object"})),
            is_read_only: true,
        }
    }

    fn effects(&self) -> Effects {
        self.effects
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        call: Call,
    ) -> BoxFuture<'_, Result<Value, Error>> {
        (self.work)(arguments, call)
    }
}

/// Gives its prompt back.
pub(crate) fn echo() -> Arc<dyn Tool> {
    tool("echo", async |arguments, _call| {
        Ok(json!({"text": arguments["prompt"]}))
    })
}

/// Asks the client's model.
pub(crate) fn ask() -> Arc<dyn Tool> {
    tool("ask", |arguments, call| async move {
        let prompt = arguments["prompt"].as_str().unwrap_or_default();
        let reply = call
            .client_model()?
            .call(ChatRequest::prompt(prompt))
            .await?;
        let reply = reply.whole().await?;
        Ok(json!({"text": reply.answer.text}))
    })
}

/// Fails as a program does.
pub(crate) fn broken() -> Arc<dyn Tool> {
    #[allow(clippy::panic, reason = "that is its purpose")]
    tool("broken", async |_arguments, _call| {
        panic!("a tool that fails")
    })
}

/// Never ends. Each call says when it has begun, and when it was dropped.
pub(crate) fn endless() -> (
    Arc<dyn Tool>,
    mpsc::UnboundedReceiver<oneshot::Receiver<()>>,
) {
    let (begins, begun) = mpsc::unbounded_channel();
    let tool = tool("endless", move |_arguments, _call| {
        let begins = begins.clone();
        async move {
            let (_held, dropped) = oneshot::channel::<()>();
            let _told = begins.send(dropped);
            std::future::pending().await
        }
    });
    (tool, begun)
}
