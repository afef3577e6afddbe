//! [`Sessions`]: those of the handshake era, so many and no more, each its owner's.
//!
//! The library keeps a session until nothing has happened on it for a while, which a call that waits for a person looks
//! like, and never asks who uses it or how many there are. That is done here, around its own sessions.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rmcp::{
    model::{CancelledNotification, CancelledNotificationParam, ClientJsonRpcMessage, RequestId},
    transport::streamable_http_server::session::{
        SessionId, SessionManager, local::LocalSessionManager,
    },
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{HttpConfig, Principal, stream::Open};

/// The sessions of a server. Clones are the same ones.
#[derive(Clone)]
pub(super) struct Sessions(Arc<Inner>);

struct Inner {
    local: LocalSessionManager,
    table: Mutex<HashMap<SessionId, Session>>,
    most: usize,
    idle: Duration,
    grace: Duration,
}

/// What is known of a session.
struct Session {
    /// `None` until its client has been told of it.
    owner: Option<Option<Principal>>,
    ends: CancellationToken,
    used: Instant,
    /// Streams that a client reads.
    streams: usize,
    /// Calls by the name that the library gives their stream.
    calls: HashMap<String, Call>,
}

/// A call whose answer is not out.
struct Call {
    request: RequestId,
    /// Streams on which it would come.
    streams: usize,
}

/// Is cancelled when its session ends. Requests have it among their extensions.
#[derive(Clone, Debug)]
pub(in crate::server) struct SessionEnd(pub(in crate::server) CancellationToken);

/// The session is another's.
#[derive(Debug)]
pub(super) struct Anothers;

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

impl Sessions {
    pub(super) fn new(config: &HttpConfig) -> Self {
        let mut local = LocalSessionManager::default();
        // which ones are idle is judged here
        local.session_config.keep_alive = None;
        Self(Arc::new(Inner {
            local,
            table: Mutex::default(),
            most: config.most_sessions,
            idle: config.idle,
            grace: config.grace,
        }))
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is no place for one more.
    pub(super) fn are_full(&self) -> bool {
        let table = self.lock();
        table.len() >= self.0.most && table.values().all(|session| session.streams > 0)
    }

    /// The end of a session that this sender may use; `None`: there is no such session.
    pub(super) fn enter(
        &self,
        id: &SessionId,
        sender: Option<&Principal>,
    ) -> Result<Option<SessionEnd>, Anothers> {
        match self.lock().get(id) {
            None => Ok(None),
            Some(session) if session.owner.as_ref().map(Option::as_ref) == Some(sender) => {
                Ok(Some(SessionEnd(session.ends.clone())))
            }
            Some(_) => Err(Anothers),
        }
    }

    /// Makes the session that was just begun its sender's.
    pub(super) fn give(&self, id: &SessionId, sender: Option<Principal>) {
        if let Some(session) = self.lock().get_mut(id) {
            session.owner.get_or_insert(sender);
        }
    }

    pub(super) fn has_no_place(&self) -> bool {
        self.count() >= self.0.most
    }

    /// The library's own sessions.
    pub(super) fn local(&self) -> &LocalSessionManager {
        &self.0.local
    }

    /// A session has begun, whose client has not been told of it.
    pub(super) fn begin(&self, id: &SessionId) {
        let ends = CancellationToken::new();
        let session = Session {
            owner: None,
            ends: ends.clone(),
            used: Instant::now(),
            streams: 0,
            calls: HashMap::new(),
        };
        self.lock().insert(Arc::clone(id), session);
        tokio::spawn(self.clone().expire(Arc::clone(id), ends));
    }

    /// A session is used.
    pub(super) fn touch(&self, id: &SessionId) {
        if let Some(session) = self.lock().get_mut(id) {
            session.used = Instant::now();
        }
    }

    /// A session is over, and with it its calls.
    pub(super) fn end(&self, id: &SessionId) {
        let ended = self.lock().remove(id);
        if let Some(session) = ended {
            session.ends.cancel();
        }
    }

    /// One that can go: the one that has been idle for longest.
    pub(super) fn idlest(&self) -> Option<SessionId> {
        let table = self.lock();
        let idle = table.iter().filter(|(_, session)| session.streams == 0);
        let idlest = idle.min_by_key(|(_, session)| session.used);
        idlest.map(|(id, _)| Arc::clone(id))
    }

    /// Ends a session once nobody has used it for long enough.
    async fn expire(self, id: SessionId, ends: CancellationToken) {
        let mut due = Instant::now() + self.0.idle;
        loop {
            tokio::select! {
                () = ends.cancelled() => return,
                () = sleep_until(due) => {}
            }
            let used = match self.lock().get(&id) {
                Some(session) if session.streams > 0 => Instant::now(),
                Some(session) => session.used,
                None => return,
            };
            due = used + self.0.idle;
            if due <= Instant::now() {
                let _ended = self.close_session(&id).await;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client reads one stream more of a session, perhaps that of a call it has lost.
    pub(super) fn open(
        &self,
        session: &SessionId,
        request: Option<RequestId>,
        name: Option<&str>,
    ) -> Open {
        let mut name = name.map(str::to_owned);
        if let Some(found) = self.lock().get_mut(session) {
            found.streams += 1;
            let call = name.as_ref().and_then(|name| found.calls.get_mut(name));
            match call {
                Some(call) => call.streams += 1,
                None => name = None,
            }
        }
        Open::new(self.clone(), Arc::clone(session), request, name)
    }

    /// The library has given a call's stream a name.
    pub(super) fn named(&self, session: &SessionId, request: RequestId, name: String) {
        if let Some(found) = self.lock().get_mut(session) {
            found.calls.insert(
                name,
                Call {
                    request,
                    streams: 1,
                },
            );
        }
    }

    /// A stream has come to its end: the call is answered.
    pub(super) fn ended(&self, session: &SessionId, name: Option<&str>) {
        if let Some(found) = self.lock().get_mut(session) {
            found.left();
            name.and_then(|name| found.calls.remove(name));
        }
    }

    /// A client has stopped to read a stream before its end. A call that it does not come back for is given up.
    pub(super) fn broke(
        &self,
        session: &SessionId,
        request: Option<RequestId>,
        name: Option<String>,
    ) {
        if let Some(found) = self.lock().get_mut(session) {
            found.left();
            let call = name.as_ref().and_then(|name| found.calls.get_mut(name));
            if let Some(call) = call {
                call.streams -= 1;
                if call.streams > 0 {
                    return;
                }
            }
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (sessions, session) = (self.clone(), Arc::clone(session));
        runtime.spawn(async move {
            let given_up = match name {
                Some(name) => {
                    sleep(sessions.0.grace).await;
                    sessions.abandoned(&session, &name)
                }
                // without a name nobody can come back for it
                None => request,
            };
            if let Some(request) = given_up {
                sessions.give_up(&session, request).await;
            }
        });
    }

    /// The request of a call for which nobody has come back.
    fn abandoned(&self, session: &SessionId, name: &str) -> Option<RequestId> {
        let mut table = self.lock();
        let calls = &mut table.get_mut(session)?.calls;
        let is_abandoned = calls.get(name)?.streams == 0;
        is_abandoned
            .then(|| calls.remove(name))?
            .map(|call| call.request)
    }

    /// Ends a call as its client could have.
    async fn give_up(&self, session: &SessionId, request: RequestId) {
        let reason = "the client is gone".to_owned();
        let told = CancelledNotificationParam::new(Some(request), Some(reason));
        let message = ClientJsonRpcMessage::notification(CancelledNotification::new(told).into());
        let _gone = self.0.local.accept_message(session, message).await;
    }
}

impl Session {
    fn left(&mut self) {
        self.streams -= 1;
        self.used = Instant::now();
    }
}
