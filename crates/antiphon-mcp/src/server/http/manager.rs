//! What the library asks of sessions.

use std::fmt;

use futures_util::Stream;
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::{
        WorkerTransport,
        streamable_http_server::session::{
            ServerSseMessage, SessionId, SessionManager,
            local::{LocalSessionManagerError, LocalSessionWorker},
        },
    },
};

use super::{sessions::Sessions, stream::Watched};

/// Why there is no session.
#[derive(Debug)]
pub(super) enum SessionsError {
    /// All are in use.
    Full,
    Local(LocalSessionManagerError),
}

impl fmt::Display for SessionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("all sessions are in use"),
            Self::Local(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SessionsError {}

impl From<LocalSessionManagerError> for SessionsError {
    fn from(error: LocalSessionManagerError) -> Self {
        Self::Local(error)
    }
}

impl SessionManager for Sessions {
    type Error = SessionsError;
    type Transport = WorkerTransport<LocalSessionWorker>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionsError> {
        while self.has_no_place() {
            let idlest = self.idlest().ok_or(SessionsError::Full)?;
            self.close_session(&idlest).await?;
        }
        let (id, transport) = self.local().create_session().await?;
        self.begin(&id);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, SessionsError> {
        Ok(self.local().initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, SessionsError> {
        self.touch(id);
        Ok(self.local().has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), SessionsError> {
        self.end(id);
        Ok(self.local().close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionsError> {
        let request = match &message {
            ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        let open = self.open(id, request, None);
        let stream = self.local().create_stream(id, message).await?;
        Ok(Watched::new(stream, open))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), SessionsError> {
        Ok(self.local().accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionsError> {
        let open = self.open(id, None, None);
        let stream = self.local().create_standalone_stream(id).await?;
        Ok(Watched::new(stream, open))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionsError> {
        let name = last_event_id.split_once('/').map(|(_, name)| name);
        let open = self.open(id, None, name);
        let stream = self.local().resume(id, next_after(&last_event_id)).await?;
        Ok(Watched::new(stream, open))
    }
}

/// The event after the last that a client has seen. The library begins with the one that it is given, and so would ask a
/// client's model the same once more.
fn next_after(last: &str) -> String {
    let (index, name) = last
        .find('/')
        .map_or((last, ""), |slash| last.split_at(slash));
    match index.parse::<usize>().map(|index| index.checked_add(1)) {
        Ok(Some(next)) => format!("{next}{name}"),
        _ => last.to_owned(),
    }
}
