//! `ask`: one question to one model.

use antiphon_core::{ChatRequest, Error};
use antiphon_mcp::Call;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Models, facts, spending::Spending, typed::TypedTool};

/// The tool.
pub(super) struct Ask;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// What is asked. The model sees nothing but this and `system`.
    #[schemars(length(min = 1))]
    prompt: String,
    /// Instructions above the question.
    system: Option<String>,
    /// Model: provider/model, or a name of the server's configuration; `client` is this client's own. Leave it out for the
    /// usual one.
    model: Option<String>,
    /// The most that is written, in tokens.
    #[schemars(range(min = 1))]
    max_tokens: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The answer, or the words with which it was declined.
    text: String,
    /// Why it ended: stop, length (cut off at max_tokens), content_filter (declined), tool_calls, or another word of the
    /// provider's.
    finish_reason: String,
    /// The model that answered, as it is told.
    model: String,
    #[serde(flatten)]
    spending: Spending,
}

impl TypedTool for Ask {
    type Arguments = Arguments;
    type Output = Output;

    const NAME: &'static str = "ask";
    const TITLE: &'static str = "Ask a model";
    const DESCRIPTION: &'static str = "\
        Puts one question to a language model and gives its answer. Use it for a second opinion, for work that \
        would fill your own context, or to ask another model by name. One call of a model. For several documents \
        use analyze_documents, map_reduce or review, for a question that must be right ensemble.";

    async fn run(models: &Models, arguments: Arguments, call: &Call) -> Result<Output, Error> {
        facts::check_prompt("prompt", &arguments.prompt)?;
        facts::check_max_tokens(arguments.max_tokens)?;
        let choice = models.choose(arguments.model.as_deref(), call)?;
        let mut request = ChatRequest::prompt(arguments.prompt);
        if let Some(system) = arguments.system {
            request = request.with_system(system);
        }
        if let Some(cap) = arguments.max_tokens {
            request = request.with_param("max_tokens", cap.into());
        }
        let reply = choice.model.ask(request).await?;
        let spending = Spending::of(&reply);
        let answer = reply.answer;
        Ok(Output {
            text: match answer.refusal {
                Some(words) if answer.text.is_empty() => words,
                _ => answer.text,
            },
            finish_reason: answer.finish_reason.as_str().to_owned(),
            model: reply.head.model,
            spending,
        })
    }
}
