//! [`Withdrawal`]: a request to a client that nobody waits for any more is taken back, so that no person is asked for it.

use rmcp::{
    RoleServer,
    model::{CancelledNotificationParam, RequestId},
    service::{Peer, RequestHandle},
};
use tokio::runtime::Handle;

/// Takes its request back when it is dropped before [`Self::answered`]: the library does so for clients only.
#[derive(Debug)]
pub(super) struct Withdrawal {
    request: Option<RequestId>,
    peer: Peer<RoleServer>,
}

impl Withdrawal {
    pub(super) fn of(request: &RequestHandle<RoleServer>) -> Self {
        Self {
            request: Some(request.id.clone()),
            peer: request.peer.clone(),
        }
    }

    /// The request has been answered.
    pub(super) fn answered(mut self) {
        self.request = None;
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        let (Some(request), Ok(runtime)) = (self.request.take(), Handle::try_current()) else {
            return;
        };
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let reason = "nobody waits for the answer any more".to_owned();
            let told = CancelledNotificationParam::new(Some(request), Some(reason));
            // a client that is gone needs not be told
            let _gone = peer.notify_cancelled(told).await;
        });
    }
}
