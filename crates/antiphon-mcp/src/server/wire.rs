//! The connection of a client, watched.

use rmcp::{
    RoleServer,
    model::JsonRpcMessage,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio_util::sync::CancellationToken;

/// A connection that says when its client is gone: the library waits for calls under way first, for seconds, and then for
/// nobody. What comes before the first request is dropped, where the library would end the connection.
pub(super) struct Wire<T> {
    transport: T,
    gone: CancellationToken,
    has_begun: bool,
}

impl<T> Wire<T> {
    pub(super) fn new(transport: T, gone: CancellationToken) -> Self {
        Self {
            transport,
            gone,
            has_begun: false,
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Wire<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.transport.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let Some(message) = self.transport.receive().await else {
                self.gone.cancel();
                return None;
            };
            self.has_begun |= matches!(message, JsonRpcMessage::Request(_));
            if self.has_begun {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.gone.cancel();
        self.transport.close().await
    }
}
