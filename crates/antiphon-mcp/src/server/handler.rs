//! Requests of clients, handed to the tools.

use std::sync::Arc;

use antiphon_core::{Error, Limits, layers::queue::Queue};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestMethod,
        CompleteRequestParams, CompleteResult, ContentBlock, Implementation,
        ListPromptsRequestMethod, ListPromptsResult, ListResourceTemplatesRequestMethod,
        ListResourceTemplatesResult, ListResourcesRequestMethod, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig as Info,
        Tool as Offered, ToolAnnotations,
    },
    service::RequestContext,
};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Server, back_channel};
use crate::{
    Call, Progress, Tool,
    sampling::{Capabilities, Outbox, Sampling},
};

/// One client, where the protocol knows sessions; one request of a client where it does not.
#[derive(Debug)]
pub(super) struct Handler {
    server: Server,
    queue: Arc<Queue>,
}

impl Handler {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            server: server.clone(),
            queue: Queue::new(server.config.limit),
        }
    }

    fn tool(&self, name: &str) -> Result<&Arc<dyn Tool>, ErrorData> {
        let mut tools = self.server.tools.iter();
        tools.find(|tool| tool.facts().name == name).ok_or_else(|| {
            let names: Vec<&str> = self
                .server
                .tools
                .iter()
                .map(|tool| tool.facts().name)
                .collect();
            let message = format!("no tool is called {name:?}; there are {}", names.join(", "));
            ErrorData::invalid_params(message, None)
        })
    }

    /// The model of the client that a request came from.
    fn client_model(
        &self,
        context: &RequestContext<RoleServer>,
        outbox: Outbox,
    ) -> Result<antiphon_core::SharedModel, Error> {
        let limits = Limits {
            concurrency: Some(self.server.config.limit),
        };
        let model = Sampling::new(capabilities(context), limits, outbox)?;
        Ok(self.queue.around(Arc::new(model)))
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> Info {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let mut info = Info::new(capabilities)
            .with_server_info(Implementation::new("antiphon", &self.server.config.version));
        info.instructions = Some(self.server.config.instructions.clone());
        info
    }

    // a server that has none says so: the library would answer with empty lists, as if it could have some

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListPromptsRequestMethod>())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourcesRequestMethod>())
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(ErrorData::method_not_found::<
            ListResourceTemplatesRequestMethod,
        >())
    }

    async fn complete(
        &self,
        _request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Err(ErrorData::method_not_found::<CompleteRequestMethod>())
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.server.tools.iter().map(offered).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = self.tool(&request.name)?;
        let (outbox, inbox) = mpsc::unbounded_channel();
        let call = Call {
            model: self.client_model(&context, outbox),
            progress: Progress { told: None },
            cancelled: context.ct.clone(),
        };
        let work = tool.call(request.arguments.unwrap_or_default(), call);
        let done = back_channel::carried(work, inbox, &context).await;
        Ok(result_of(done).into())
    }
}

/// What became of a call, for the client and its model.
fn result_of(done: Result<Value, Error>) -> CallToolResult {
    match done {
        Ok(value) => CallToolResult::structured(value),
        Err(error) => {
            let text = format!("{}: {}", error.kind().code(), error.message());
            CallToolResult::error(vec![ContentBlock::text(text)])
        }
    }
}

fn offered(tool: &Arc<dyn Tool>) -> Offered {
    let facts = tool.facts();
    Offered::new(facts.name, facts.description, facts.input)
        .with_title(facts.title)
        .with_raw_output_schema(Arc::new(facts.output))
        .with_annotations(ToolAnnotations::new().read_only(facts.is_read_only))
}

fn capabilities(context: &RequestContext<RoleServer>) -> Capabilities {
    let declared = context.client_capabilities().and_then(|all| all.sampling);
    let version = context.protocol_version();
    Capabilities::declared(
        declared.is_some(),
        declared.is_some_and(|sampling| sampling.tools.is_some()),
        version.as_ref().map_or("", |version| version.as_str()),
    )
}
