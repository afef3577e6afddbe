//! Sampling in the handshake era: the server asks its client on the channel that the client opened.
//!
//! The requests are sent from the task of the tool call that they are made for, so that on Streamable HTTP they travel on
//! that call's own stream. A server that sends them elsewhere can wait for ever for a client that waits for the call.
#![expect(
    deprecated,
    reason = "sampling ends with the era (SEP-2577), but most clients live in it"
)]

use antiphon_core::{BoxFuture, Error, ErrorKind};
use futures_util::stream::{FuturesUnordered, StreamExt};
use rmcp::{
    Peer, RoleServer,
    model::{CreateMessageRequest, CreateMessageRequestParams, ServerRequest},
    service::{PeerRequestOptions, RequestContext, ServiceError},
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::sampling::{self, Asked, gone};

/// Does the work of a tool and takes to the client what it asks the client's model meanwhile.
pub(super) async fn carried(
    mut work: BoxFuture<'_, Result<Value, Error>>,
    mut inbox: mpsc::UnboundedReceiver<Asked>,
    context: &RequestContext<RoleServer>,
) -> Result<Value, Error> {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = context.ct.cancelled() => return Err(Error::stopped("the client gave the call up")),
            Some(asked) = inbox.recv() => under_way.push(ask(&context.peer, asked)),
            Some(()) = under_way.next() => {}
        }
    }
}

/// Asks the client, unless nobody waits for the answer any more.
async fn ask(peer: &Peer<RoleServer>, asked: Asked) {
    let Asked {
        params, mut answer, ..
    } = asked;
    tokio::select! {
        result = sampled(peer, params) => drop(answer.send(result)),
        // the request is withdrawn when its handle is dropped
        () = answer.closed() => {}
    }
}

async fn sampled(peer: &Peer<RoleServer>, params: Value) -> Result<Value, Error> {
    let params: CreateMessageRequestParams = serde_json::from_value(params).map_err(|error| {
        let message = format!("the client cannot be asked like this: {error}");
        Error::new(ErrorKind::BadRequest, message).not_sent()
    })?;
    let request = ServerRequest::CreateMessageRequest(CreateMessageRequest::new(params));
    let options = PeerRequestOptions::no_options();
    let handle = peer.send_request_with_option(request, options).await;
    let result = handle.map_err(failed)?.await_response().await;
    // whether it is a message is judged where it is read
    serde_json::to_value(result.map_err(failed)?)
        .map_err(|error| Error::new(ErrorKind::BadResponse, error.to_string()))
}

fn failed(error: ServiceError) -> Error {
    match error {
        ServiceError::TransportClosed | ServiceError::TransportSend(_) => gone(),
        ServiceError::McpError(told) => {
            sampling::failed(i64::from(told.code.0), &told.message, told.data.as_ref())
        }
        ServiceError::Cancelled { reason } => {
            let reason = reason.as_deref().unwrap_or("it does not say why");
            Error::stopped(format!("the client gave the request up: {reason}"))
        }
        ServiceError::Timeout { timeout } => {
            let message = format!("the client did not answer within {timeout:?}");
            Error::new(ErrorKind::Timeout, message).with_should_retry(Some(false))
        }
        other => {
            // a person may have been asked, and would be asked again
            let message = format!("the client could not be asked: {other}");
            Error::new(ErrorKind::ServerError, message).with_should_retry(Some(false))
        }
    }
}
