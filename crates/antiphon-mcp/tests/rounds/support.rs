//! Tools of a few lines, and a client that goes from round to round by hand.
#![expect(
    deprecated,
    reason = "sampling is deprecated (SEP-2577), but it is what is tested"
)]

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use antiphon_core::{BoxFuture, ChatRequest, Error, SharedModel};
use antiphon_mcp::{Call, Server, ServerConfig, Tool, ToolFacts};
use rmcp::{
    ClientHandler, RoleClient,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig,
        CreateMessageRequestParams, CreateMessageResult, ErrorData, Implementation, InputRequests,
        InputResponses, ProtocolVersion,
    },
    service::{
        ClientLifecycleMode, ClientServiceExt, RequestContext, RunningService, ServiceError,
    },
};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

type Done = BoxFuture<'static, Result<Value, Error>>;
type Work = dyn Fn(Map<String, Value>, Call) -> Done + Send + Sync;

/// A tool made of a function, which counts its runs.
#[derive(Clone)]
pub(crate) struct Scripted {
    name: &'static str,
    work: Arc<Work>,
    runs: Arc<AtomicU32>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Scripted {
    pub(crate) fn new(
        name: &'static str,
        work: impl Fn(Map<String, Value>, Call) -> Done + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            work: Arc::new(work),
            runs: Arc::default(),
        }
    }

    pub(crate) fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

impl Tool for Scripted {
    fn facts(&self) -> ToolFacts {
        let object = json!({"type": "object"}).as_object().unwrap().clone();
        ToolFacts {
            name: self.name,
            title: self.name,
            description: "a tool of a test",
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
        self.runs.fetch_add(1, Ordering::SeqCst);
        (self.work)(arguments, call)
    }
}

/// What a model says to a request.
pub(crate) async fn told(model: &SharedModel, request: ChatRequest) -> Result<String, Error> {
    Ok(model.call(request).await?.whole().await?.answer.text)
}

/// What a model says to a prompt, or the code of why it says nothing.
pub(crate) async fn told_or_code(model: &SharedModel, prompt: &str) -> String {
    let told = told(model, ChatRequest::prompt(prompt)).await;
    told.unwrap_or_else(|error| error.kind().code().to_owned())
}

/// A server of one tool.
pub(crate) fn server(tool: &Scripted) -> Server {
    Server::new(vec![Arc::new(tool.clone())], ServerConfig::default())
}

/// A client that lends a model, which says what it is asked in capitals.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) name: &'static str,
    pub(crate) lends: bool,
}

pub(crate) const DESK: Desk = Desk {
    name: "desk",
    lends: true,
};

impl ClientHandler for Desk {
    fn get_info(&self) -> ClientConfig {
        let capabilities = if self.lends {
            ClientCapabilities::builder().enable_sampling().build()
        } else {
            ClientCapabilities::default()
        };
        ClientConfig::new(capabilities, Implementation::new(self.name, "1"))
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let prompt = prompt_of(&serde_json::to_value(params).unwrap());
        Ok(serde_json::from_value(said(&prompt.to_uppercase())).unwrap())
    }
}

pub(crate) type Connected = RunningService<RoleClient, Desk>;

/// A client of the newer era.
pub(crate) async fn connected(server: &Server, desk: Desk) -> Connected {
    let mode = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    connected_as(server, desk, mode).await
}

/// A client of the era of a lifecycle.
pub(crate) async fn connected_as(
    server: &Server,
    desk: Desk,
    mode: ClientLifecycleMode,
) -> Connected {
    let (here, there) = tokio::io::duplex(1 << 20);
    let server = server.clone();
    tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(there);
        let stop = CancellationToken::new();
        server.serve_on(reader, writer, stop).await.unwrap();
    });
    desk.serve_with_lifecycle(here, mode).await.unwrap()
}

/// A result of `sampling/createMessage`.
pub(crate) fn said(text: &str) -> Value {
    let content = json!({"type": "text", "text": text});
    json!({"role": "assistant", "content": content, "model": "m", "stopReason": "endTurn"})
}

pub(crate) fn prompt_of(params: &Value) -> String {
    let content = &params["messages"][0]["content"];
    let block = content.get(0).unwrap_or(content);
    block["text"].as_str().unwrap().to_owned()
}

pub(crate) fn call(tool: &Scripted, arguments: Value) -> CallToolRequestParams {
    CallToolRequestParams::new(tool.name).with_arguments(arguments.as_object().unwrap().clone())
}

/// One round, with the request that goes on from it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) requests: InputRequests,
    pub(crate) again: CallToolRequestParams,
}

#[derive(Debug)]
pub(crate) enum Turn {
    Asked(Asked),
    Done(CallToolResult),
}

impl Turn {
    /// Sends a request.
    pub(crate) async fn of(
        client: &Connected,
        request: CallToolRequestParams,
    ) -> Result<Self, ServiceError> {
        Ok(match client.call_tool_once(request.clone()).await? {
            CallToolResponse::Complete(result) => Self::Done(result),
            CallToolResponse::InputRequired(asks) => {
                let mut again = request;
                again.input_responses = None;
                again.request_state = asks.request_state;
                Self::Asked(Asked {
                    requests: asks.input_requests.unwrap(),
                    again,
                })
            }
            other => panic!("{other:?}"),
        })
    }

    pub(crate) fn asked(self) -> Asked {
        match self {
            Self::Asked(asked) => asked,
            Self::Done(result) => panic!("done: {result:?}"),
        }
    }

    /// The structured content of the result.
    pub(crate) fn done(self) -> Value {
        match self {
            Self::Done(result) => result.structured_content.unwrap(),
            Self::Asked(asked) => panic!("asked for {:?}", asked.prompts()),
        }
    }
}

impl Asked {
    /// What is asked, sorted.
    pub(crate) fn prompts(&self) -> Vec<String> {
        let mut prompts: Vec<String> = self.requests.values().map(prompt).collect();
        prompts.sort();
        prompts
    }

    /// The request that goes on, with what the model says to each prompt.
    pub(crate) fn answered(&self, says: impl Fn(&str) -> Option<Value>) -> CallToolRequestParams {
        let responses: InputResponses = self
            .requests
            .iter()
            .filter_map(|(key, request)| Some((key.clone(), says(&prompt(request))?)))
            .collect();
        self.again.clone().with_input_responses(responses)
    }

    /// Goes on with the prompts in capitals.
    pub(crate) async fn shouted(&self, client: &Connected) -> Turn {
        let request = self.answered(|prompt| Some(said(&prompt.to_uppercase())));
        Turn::of(client, request).await.unwrap()
    }
}

fn prompt(request: &rmcp::model::InputRequest) -> String {
    prompt_of(&serde_json::to_value(request).unwrap()["params"])
}
