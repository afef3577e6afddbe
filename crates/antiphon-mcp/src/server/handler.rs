//! Requests of clients, handed to the tools.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use antiphon_core::{Error, ErrorKind, Limits, SharedModel};
use futures_util::FutureExt;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestMethod, CallToolRequestParams, CallToolResponse, CallToolResult,
        CompleteRequestMethod, CompleteRequestParams, CompleteResult, ConstString, ContentBlock,
        CustomRequest, CustomResult, ErrorCode, Implementation, ListPromptsRequestMethod,
        ListPromptsResult, ListResourceTemplatesRequestMethod, ListResourceTemplatesResult,
        ListResourcesRequestMethod, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig as Info, Tool as Offered,
    },
    service::RequestContext,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Server, back_channel,
    catalog::Entry,
    http::SessionEnd,
    line::Line,
    progress,
    rounds::{self, Outcome, Round},
};
use crate::{
    Call,
    sampling::{Capabilities, Outbox, Sampling},
};

/// One client, where the protocol knows sessions; one request of a client where it does not.
#[derive(Debug)]
pub(super) struct Handler {
    server: Server,
    /// Made with the first call: before it the client need not have said who it is.
    line: OnceLock<Line>,
    /// The client is gone: nobody waits for its calls any more.
    gone: CancellationToken,
}

impl Handler {
    pub(super) fn new(server: &Server, gone: CancellationToken) -> Self {
        Self {
            server: server.clone(),
            line: OnceLock::new(),
            gone,
        }
    }

    /// Is cancelled when the client of a request is gone: over HTTP with its session.
    fn gone<'a>(&'a self, context: &'a RequestContext<RoleServer>) -> &'a CancellationToken {
        let parts = context.extensions.get::<::http::request::Parts>();
        let ends = parts.and_then(|parts| parts.extensions.get::<SessionEnd>());
        ends.map_or(&self.gone, |SessionEnd(ends)| ends)
    }

    /// The model of the client that a request came from. Where rounds carry its calls nothing limits them here: the client
    /// gets all of a round together and decides itself how many it begins at once.
    fn client_model(
        &self,
        context: &RequestContext<RoleServer>,
        has_rounds: bool,
        outbox: Outbox,
    ) -> Result<SharedModel, Error> {
        let capabilities = capabilities(context);
        if has_rounds {
            let model = Sampling::new(capabilities, Limits::default(), outbox)?;
            return Ok(Arc::new(model));
        }
        let config = &self.server.config;
        let line = self.line.get_or_init(|| Line::new(config, context));
        let queue = &line.queue;
        let limits = Limits {
            concurrency: Some(queue.snapshot().limit),
        };
        let model = Sampling::new(capabilities, limits, outbox)?;
        Ok(queue.around(Arc::new(model)))
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> Info {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let mut info = Info::new(capabilities).with_server_info(
            Implementation::new("antiphon", &self.server.config.version).with_title("Antiphon"),
        );
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

    /// What the library knows the name of and cannot read comes here too, and it alone would say that there is no such method.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let CustomRequest { method, .. } = request;
        Err(match method == CallToolRequestMethod::VALUE {
            true => ErrorData::invalid_params(
                "the parameters cannot be read: `name` and `requestState` are texts, `arguments` and `inputResponses` objects",
                None,
            ),
            false => ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None),
        })
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.server.catalog.offered();
        Ok(ListToolsResult::with_all_items(tools))
    }

    /// For what HTTP's headers may say of a call.
    fn get_tool(&self, name: &str) -> Option<Offered> {
        let found = self.server.catalog.find(name).ok()?;
        Some(found.offered().clone())
    }

    async fn call_tool(
        &self,
        mut request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let entry = self.server.catalog.find(&request.name)?;
        let round = Round::begin(&self.server.seal, &mut request, &context)?;
        let has_rounds = round.is_some();
        let arguments = match entry.check(request.arguments.unwrap_or_default()) {
            Ok(arguments) => arguments,
            Err(fault) => return Ok(result_of(Err(fault)).into()),
        };
        let (outbox, inbox) = mpsc::unbounded_channel();
        let (progress, steps) = progress::channel(context.meta.get_progress_token().is_some());
        let lent = self.client_model(&context, has_rounds, outbox);
        let cancelled = context.ct.child_token();
        let call = Call {
            model: lent.clone(),
            progress,
            cancelled: cancelled.clone(),
        };
        let work = unbroken(entry, async { entry.tool.call(arguments, call).await });
        let work = progress::told(work, steps, &context).boxed();
        let outcome = async {
            match round {
                Some(round) => round.carried(work, inbox, &cancelled).await,
                None => Outcome::Done(back_channel::carried(work, inbox, &context).await),
            }
        };
        let outcome = tokio::select! {
            outcome = outcome => outcome,
            () = self.gone(&context).cancelled() => {
                // the library would say so only once it has waited for the call
                cancelled.cancel();
                let why = Error::stopped("the client is gone: its call was given up");
                Outcome::Done(Err(why))
            }
        };
        match outcome {
            Outcome::Asks(asks) => Ok(asks.into()),
            Outcome::Done(Err(error)) if has_rounds && rounds::is_lacking(&error, &lent) => {
                Err(rounds::lacking(&error))
            }
            Outcome::Done(done) => Ok(result_of(done).into()),
        }
    }
}

/// A panic ends its own call, with a result that says so: the library would leave the client waiting for ever.
async fn unbroken(
    entry: &Entry,
    work: impl Future<Output = Result<Value, Error>>,
) -> Result<Value, Error> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|_| {
        // the hook of panics has said where
        tracing::error!(tool = entry.name(), "a tool panicked");
        let message = format!(
            "{} failed: this is a fault of antiphon, not of the call; what it wrote to stderr says more",
            entry.name()
        );
        Err(Error::new(ErrorKind::ServerError, message))
    })
}

/// What became of a call, for the client and its model: structured, and the same as text for clients that know only text.
fn result_of(done: Result<Value, Error>) -> CallToolResult {
    match done {
        Ok(value) => CallToolResult::structured(value),
        Err(error) => {
            let text = format!("{}: {}", error.kind().code(), error.message());
            CallToolResult::error(vec![ContentBlock::text(text)])
        }
    }
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
