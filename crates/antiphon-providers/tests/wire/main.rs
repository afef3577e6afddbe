//! Every dialect against samples of their wires (fixtures: wire-formats.md, sections 7, 9 and 10).

mod answers;
mod own_wire;
mod requests;
mod responses;
mod streams;

use std::time::SystemTime;

use antiphon_core::{Answer, Error};
use antiphon_providers::dialects::{Dialect, ResponseHead, dialect};
use bytes::Bytes;
use http::HeaderMap;

fn openai() -> &'static dyn Dialect {
    dialect("openai").expect("a dialect of this name")
}

fn anthropic() -> &'static dyn Dialect {
    dialect("anthropic").expect("a dialect of this name")
}

fn responses() -> &'static dyn Dialect {
    dialect("openai-responses").expect("a dialect of this name")
}

fn decode(dialect: &dyn Dialect, body: impl Into<Bytes>) -> Result<Answer, Error> {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", http::HeaderValue::from_static("req_1"));
    let head = ResponseHead {
        status: 200,
        headers: &headers,
        received: SystemTime::UNIX_EPOCH,
    };
    dialect.decode_whole(&head, body.into())
}
