//! Server-sent events, in every form that servers are known to send.

use bytes::Bytes;

use super::Event;
use crate::FaultKind;

/// Writes the events, one network chunk for each.
pub(crate) fn written(events: &[Event], kind: Option<FaultKind>) -> Vec<Bytes> {
    let end = match kind {
        Some(FaultKind::Crlf) => "\r\n",
        Some(FaultKind::Cr) => "\r",
        _ => "\n",
    };
    let chunks: Vec<String> = events.iter().map(|event| one(event, end, kind)).collect();
    match kind {
        Some(FaultKind::Joined) => chunks
            .chunks(2)
            .map(|pair| Bytes::from(pair.concat()))
            .collect(),
        Some(FaultKind::Split) => split(chunks.concat().as_bytes()),
        _ => chunks.into_iter().map(Bytes::from).collect(),
    }
}

fn one(event: &Event, end: &str, kind: Option<FaultKind>) -> String {
    let mut text = String::with_capacity(event.data.len() + 64);
    if kind == Some(FaultKind::Comments) {
        text.push_str(": keep-alive\n\nid: 7\nretry: 3000\nx-unknown: yes\n");
        // only a dialect that names its events can have unknown ones
        if event.name.is_some() {
            text.push_str(
                "event: simulated_unknown\ndata: {\"type\":\"simulated_unknown\"}\n\n:\n",
            );
        }
    }
    if let Some(name) = event.name {
        text.push_str("event: ");
        text.push_str(name);
        text.push_str(end);
    }
    let data = match kind {
        Some(FaultKind::Padded) if event.data.starts_with('{') => format!("  {}   ", event.data),
        Some(FaultKind::DataLines) => spread(&event.data),
        _ => event.data.clone(),
    };
    for line in data.split('\n') {
        text.push_str("data: ");
        text.push_str(line);
        text.push_str(end);
    }
    text.push_str(end);
    text
}

/// JSON over several lines; what is not JSON stays as it is.
fn spread(data: &str) -> String {
    serde_json::from_str::<serde_json::Value>(data)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| data.to_owned())
}

/// Pieces of one to five bytes, in turn: no boundary of lines or characters is respected.
pub(crate) fn split(mut bytes: &[u8]) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let sizes = [1, 2, 5, 3, 4];
    for size in sizes.into_iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        pieces.push(Bytes::copy_from_slice(piece));
        bytes = rest;
    }
    pieces
}
