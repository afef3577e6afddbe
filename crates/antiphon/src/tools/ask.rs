//! `ask`: one question to one model.

use std::sync::Arc;

use antiphon_core::{BoxFuture, ChatRequest, Error};
use antiphon_mcp::{Call, Tool, ToolFacts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Models, facts};

/// The tool.
#[derive(Debug)]
pub(super) struct Ask {
    models: Arc<Models>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// What is asked.
    prompt: String,
    /// Instructions for the model.
    system: Option<String>,
    /// A model of the configuration, provider/model, or `client` for the client's own.
    model: Option<String>,
    /// The most that is written, in tokens.
    max_tokens: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Output {
    /// The answer.
    text: String,
    /// The model that answered.
    model: String,
    /// Why it ended: stop, length, tool_calls, content_filter.
    finish_reason: String,
}

impl Ask {
    pub(super) fn new(models: &Arc<Models>) -> Self {
        Self {
            models: Arc::clone(models),
        }
    }

    async fn asked(&self, arguments: Arguments, call: &Call) -> Result<Output, Error> {
        let model = self
            .models
            .choose(arguments.model.as_deref(), call)?
            .model()?;
        let mut request = ChatRequest::prompt(arguments.prompt);
        if let Some(system) = arguments.system {
            request = request.with_system(system);
        }
        if let Some(cap) = arguments.max_tokens {
            request = request.with_param("max_tokens", cap.into());
        }
        let reply = model.call(request).await?.whole().await?;
        Ok(Output {
            text: reply.answer.text,
            model: reply.head.model,
            finish_reason: reply.answer.finish_reason.as_str().to_owned(),
        })
    }
}

impl Tool for Ask {
    fn facts(&self) -> ToolFacts {
        ToolFacts {
            name: "ask",
            title: "Ask a model",
            description: "Puts one question to a language model and gives its answer.",
            input: facts::schema_of::<Arguments>(),
            output: facts::schema_of::<Output>(),
            is_read_only: true,
        }
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        call: Call,
    ) -> BoxFuture<'_, Result<Value, Error>> {
        Box::pin(async move {
            let output = self.asked(facts::arguments(arguments)?, &call).await?;
            facts::result(&output)
        })
    }
}
