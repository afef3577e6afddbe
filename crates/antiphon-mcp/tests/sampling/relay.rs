//! The tool: it puts its arguments to the client's model as they are, and tells all of the answer.

use std::sync::Mutex;

use antiphon_core::{BoxFuture, ChatRequest, Error, Message};
use antiphon_mcp::{Call, Tool, ToolFacts};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

#[derive(Debug)]
pub(crate) struct Relay {
    outcome: Mutex<Option<oneshot::Sender<Outcome>>>,
}

/// What became of a call of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The client's model answered.
    Answered,
    /// It failed, or was given up.
    NotAnswered,
}

/// Tells the outcome when the call is over.
struct Tells {
    sender: Option<oneshot::Sender<Outcome>>,
    outcome: Outcome,
}

impl Drop for Tells {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            let _nobody_waits = sender.send(self.outcome);
        }
    }
}

impl Relay {
    pub(crate) fn new() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        let outcome = Mutex::new(Some(sender));
        (Self { outcome }, receiver)
    }
}

async fn relayed(arguments: Map<String, Value>, call: Call) -> Result<Value, Error> {
    let messages: Vec<Message> = serde_json::from_value(arguments["messages"].clone()).unwrap();
    let mut request = ChatRequest::new(messages);
    let params = arguments.get("params").and_then(Value::as_object);
    for (name, value) in params.into_iter().flatten() {
        request = request.with_param(name, value.clone());
    }
    let reply = call.client_model()?.call(request).await?.whole().await?;
    let answer = reply.answer;
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    Ok(json!({
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "tool_calls": answer.tool_calls,
        "model": reply.head.model,
        "dropped": reply.head.dropped,
        "cost_usd": answer.spent.cost(),
        "usage": answer.spent.usage(),
        "body": body,
    }))
}

impl Tool for Relay {
    fn facts(&self) -> ToolFacts {
        let object = json!({"type": "object"}).as_object().unwrap().clone();
        ToolFacts {
            name: "relay",
            title: "Relay",
            description: "Puts a request to the client's own model.",
            input: object.clone(),
            output: object,
            is_read_only: true,
        }
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        call: Call,
    ) -> BoxFuture<'_, Result<Value, Error>> {
        Box::pin(async move {
            let sender = self.outcome.lock().unwrap().take();
            let mut tells = Tells {
                sender,
                outcome: Outcome::NotAnswered,
            };
            let result = relayed(arguments, call).await;
            if result.is_ok() {
                tells.outcome = Outcome::Answered;
            }
            result
        })
    }
}
