//! Sampling since 2026-07-28 (SEP-2322): the server may not ask its client; it ends the request with a list of what it needs,
//! and the client repeats the request with the answers.
//!
//! ```text
//! tools/call ──> the tool runs until it only waits ──> input_required {every waiting call, requestState}
//! tools/call + answers + requestState ──> the tool runs again from its beginning; what was answered is answered at once ──>
//!                                         the next round, or the result
//! ```
//!
//! Between two rounds the server remembers nothing: the client carries the answers of all earlier rounds, sealed (see
//! [`state`]). A call of the model is known again by what it asks (see [`replay`]), so a tool has to ask the same in each
//! round. Steps that build on one another take a round each, and clients give up after ten rounds unless told otherwise.
//!
//! When a tool only waits cannot be known from outside, since its parts may run in other tasks. It is taken for waiting
//! once it has asked nothing more for [`QUIET`]. Nothing but the number of rounds hangs on that: a call that comes late
//! travels in the next round. Work that is under way elsewhere, the call of another model for instance, ends with the round
//! and begins anew in the next: to wait for it would not help, since the tool begins anew too. A tool that mixes models keeps
//! what the others say itself, as a job does in its ledger.

mod replay;
mod response;
mod state;

use std::time::Duration;

use antiphon_core::{BoxFuture, Error, ErrorKind, SharedModel};
use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, ErrorCode, Extensions, InputRequiredResult, ProtocolVersion},
    service::RequestContext,
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::http::Principal;
use crate::sampling::Asked;
use replay::Replay;
use state::Binding;
pub(super) use state::Seal;

/// A tool that has asked nothing more for so long, while calls wait, is taken for waiting.
const QUIET: Duration = Duration::from_millis(50);
/// The same while it has asked for nothing of what was answered last: parts that run in other tasks may come late, and a
/// round without them could never be told from that of a tool that asks something else each time.
const LONG_QUIET: Duration = Duration::from_secs(2);
/// The time that a tool is given to end in order when its round is over.
const TIME_TO_END: Duration = Duration::from_secs(5);

/// One round of a tool's call.
#[derive(Debug)]
pub(super) struct Round<'a> {
    seal: &'a Seal,
    binding: Binding,
    replay: Replay,
}

/// What a round has come to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The tool has ended.
    Done(Result<Value, Error>),
    /// The client is to ask its model first.
    Asks(InputRequiredResult),
}

impl<'a> Round<'a> {
    /// The round that a request begins, where its protocol has rounds. Takes the answers out of the request.
    ///
    /// # Errors
    /// -32602: what the request carries was not given for this call and this caller, or is too old.
    pub(super) fn begin(
        seal: &'a Seal,
        request: &mut CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<Option<Self>, ErrorData> {
        let version = context.protocol_version();
        if version.is_none_or(|version| version < ProtocolVersion::V_2026_07_28) {
            return Ok(None);
        }
        let binding = Binding::of(
            &request.name,
            request.arguments.as_ref(),
            context.client_info().as_ref(),
            caller(&context.extensions),
        );
        let responses = request.input_responses.take();
        let carried = match (request.request_state.take(), &responses) {
            (Some(state), _) => seal.open(&state, &binding).map_err(|error| {
                tracing::debug!(%error, tool = %request.name, "a requestState was refused");
                refused("this requestState was not given for this call, or it is too old")
            })?,
            (None, None) => state::Carried::default(),
            (None, Some(_)) => {
                return Err(refused(
                    "inputResponses came without the requestState of their requests",
                ));
            }
        };
        Ok(Some(Self {
            seal,
            binding,
            replay: Replay::begin(carried, responses.unwrap_or_default()),
        }))
    }

    /// Does the work of a tool until it is done or waits for the client's model. `told` tells the work that it is to end.
    pub(super) async fn carried(
        mut self,
        mut work: BoxFuture<'_, Result<Value, Error>>,
        mut inbox: mpsc::UnboundedReceiver<Asked>,
        told: &CancellationToken,
    ) -> Outcome {
        let mut asked_at = Instant::now();
        while !self.replay.is_full() {
            let quiet = match self.replay.is_unused() {
                true => LONG_QUIET,
                false => QUIET,
            };
            tokio::select! {
                // what the work does first comes first: the quiet is that of a tool that could have gone on
                biased;
                done = &mut work => return Outcome::Done(done),
                Some(asked) = inbox.recv() => {
                    self.replay.ask(asked);
                    asked_at = Instant::now();
                }
                () = told.cancelled() => {
                    let why = Error::stopped("the client gave the call up");
                    end(work, inbox, self.replay, &why).await;
                    return Outcome::Done(Err(why));
                }
                () = sleep_until(asked_at + quiet), if self.replay.waits() => break,
            }
        }
        let round = self.replay.round();
        told.cancel();
        let why = Error::stopped("the client is asked first: the call goes on in its next round");
        end(work, inbox, self.replay, &why).await;
        let sealed = round.and_then(|(requests, carried)| {
            let state = self.seal.seal(carried, &self.binding)?;
            Ok(InputRequiredResult::new(Some(requests), Some(state)))
        });
        match sealed {
            Ok(result) => Outcome::Asks(result),
            Err(error) => Outcome::Done(Err(error)),
        }
    }
}

/// Lets the work end in order, for a bounded time: what it asks is answered with `why`. What it gives is dropped, since it
/// was made without answers.
async fn end(
    mut work: BoxFuture<'_, Result<Value, Error>>,
    mut inbox: mpsc::UnboundedReceiver<Asked>,
    replay: Replay,
    why: &Error,
) {
    for waiting in replay.into_waiting() {
        // whoever asked may be gone
        let _gone = waiting.send(Err(why.clone()));
    }
    let ended = async {
        loop {
            tokio::select! {
                biased;
                _ = &mut work => return,
                Some(asked) = inbox.recv() => {
                    let _gone = asked.answer.send(Err(why.clone()));
                }
            }
        }
    };
    if timeout(TIME_TO_END, ended).await.is_err() {
        tracing::warn!("a tool did not end with its round and was dropped");
    }
}

/// Who calls, beside the client's own name: whoever has shown a key over HTTP. Empty without keys, and on stdio, where there
/// is one client.
fn caller(of_request: &Extensions) -> &[u8] {
    let parts = of_request.get::<http::request::Parts>();
    let principal = parts.and_then(|parts| parts.extensions.get::<Principal>());
    principal.map_or(&[], |Principal(name)| name.as_bytes())
}

/// -32602, with what to do next. Why exactly is not told: whoever forges would learn from it.
fn refused(what: &str) -> ErrorData {
    let message = format!(
        "{what}: call the tool again from the beginning, without requestState and inputResponses"
    );
    ErrorData::invalid_params(message, None)
}

/// Whether a tool has failed because its client lends no model. The tool may have added what to do about it.
pub(super) fn is_lacking(failure: &Error, lent: &Result<SharedModel, Error>) -> bool {
    let refusal = lent.as_ref().err();
    refusal.is_some_and(|refusal| {
        failure.kind() == ErrorKind::Unsupported && failure.message().starts_with(refusal.message())
    })
}

/// What the protocol demands then: -32021, with what is lacking. Capabilities are declared with every request here, and a
/// client may repeat it with this one.
pub(super) fn lacking(failure: &Error) -> ErrorData {
    ErrorData::new(
        ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY,
        failure.message().to_owned(),
        Some(json!({"requiredCapabilities": {"sampling": {}}})),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_known_by_the_name_of_its_key() {
        let mut of_request = Extensions::new();
        assert!(caller(&of_request).is_empty());
        let request = http::Request::builder().extension(Principal("team-a".into()));
        of_request.insert(request.body(()).unwrap().into_parts().0);
        assert_eq!(caller(&of_request), b"team-a");
    }
}
