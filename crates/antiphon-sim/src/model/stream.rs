//! The answer as deltas.

use std::time::Duration;

use antiphon_core::{
    ChatDelta,
    chat::{DeltaStream, ToolCallDelta},
};
use bytes::Bytes;
use futures_util::stream;

use super::{finish_reason, told_usage, unreadable};
use crate::{
    FaultKind, Simulator,
    answer::Reply,
    body::{BYTE_BY_BYTE, FIRST_BYTE, broken_off},
    simulator::Attempt,
    wire::{openai, pieces::Piece},
};

/// The answer as deltas, paced over its latency.
pub(super) fn streamed(simulator: Simulator, attempt: Attempt, reply: &Reply) -> DeltaStream {
    let mut deltas: Vec<ChatDelta> = openai::chunks(reply, true)
        .into_iter()
        .map(|(piece, chunk)| delta(reply, piece, Bytes::from(chunk)))
        .collect();
    let error = unreadable(attempt.fault);
    let stalls = attempt.fault == Some(FaultKind::Stall);
    let stays_whole = error.is_none() && !stalls;
    if !stays_whole {
        deltas.truncate(kept(attempt.fault, deltas.len(), attempt.breaks_at));
    }
    let first = attempt.latency.mul_f64(FIRST_BYTE);
    let later = (attempt.latency - first) / (deltas.len().max(2) as u32 - 1);
    let mut waits = first;
    let mut deltas = deltas.into_iter();
    let mut flight = Some(attempt.flight);
    let mut error = error;
    let drips = attempt.fault == Some(FaultKind::Drip);
    Box::pin(stream::unfold((), move |()| {
        let next = deltas.next();
        let is_last = deltas.len() == 0;
        let drip = next
            .as_ref()
            .filter(|_| drips)
            .map_or(Duration::ZERO, |delta| {
                BYTE_BY_BYTE.saturating_mul(delta.raw.len() as u32)
            });
        let wait = std::mem::replace(&mut waits, later).saturating_add(drip);
        let ended = if next.is_none() || (is_last && stays_whole) {
            flight.take()
        } else {
            None
        };
        let error = if next.is_none() { error.take() } else { None };
        let simulator = simulator.clone();
        async move {
            if next.is_none() && stalls {
                // holds the attempt open for as long as the caller waits
                let _open = ended;
                return std::future::pending().await;
            }
            if next.is_some() {
                simulator.wait(wait).await;
            }
            if let Some(flight) = ended {
                flight.finish();
            }
            match (next, error) {
                (Some(delta), _) => Some((Ok(delta), ())),
                (None, Some(error)) => Some((Err(error), ())),
                (None, None) => None,
            }
        }
    }))
}

/// How many deltas come before a stream breaks: at least one, never the finish reason; none where the wire would
/// bring no stream at all.
fn kept(fault: Option<FaultKind>, all: usize, breaks_at: f64) -> usize {
    match fault {
        Some(
            FaultKind::Truncate
            | FaultKind::EarlyEnd
            | FaultKind::Garbage
            | FaultKind::ErrorEvent
            | FaultKind::Stall,
        ) => broken_off(all, breaks_at),
        _ => 0,
    }
}

fn delta(reply: &Reply, piece: Option<(usize, Piece<'_>)>, raw: Bytes) -> ChatDelta {
    let mut delta = ChatDelta {
        raw,
        ..ChatDelta::default()
    };
    match piece {
        None => delta.usage = told_usage(reply),
        // a delta tells of the first answer; the others are in its raw form
        Some((0, piece)) => match piece {
            Piece::Begin => delta.model = Some(reply.model.clone()),
            Piece::Reasoning(text) => delta.reasoning = Some(text.to_owned()),
            Piece::Text(text) => delta.text = text.to_owned(),
            Piece::Refusal(text) => delta.refusal = Some(text.to_owned()),
            Piece::Call(index, call) => delta.tool_calls.push(ToolCallDelta {
                index,
                id: Some(call.id.clone()),
                name: Some(call.name.clone()),
                arguments: String::new(),
            }),
            Piece::Arguments(index, text) => delta.tool_calls.push(ToolCallDelta {
                index,
                arguments: text.to_owned(),
                ..ToolCallDelta::default()
            }),
            Piece::Finish(finish) => delta.finish_reason = Some(finish_reason(finish)),
        },
        Some(_) => {}
    }
    delta
}
