//! What the bytes of a connection and its requests have to tell each other.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::unfit::Unfit;

/// One connection's other side.
#[derive(Debug, Default)]
pub(super) struct Peer {
    refused: OnceLock<Refused>,
    requests: AtomicUsize,
    asked: AtomicUsize,
}

/// Why nothing more is taken from it.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) unfit: Unfit,
    /// Whose dialect its request seemed to be in.
    pub(super) front: &'static str,
}

impl Peer {
    /// Takes no request any more. The first reason stays.
    pub(super) fn refuse(&self, unfit: Unfit, head: &[u8]) {
        let front = front_of(head);
        let _first = self.refused.set(Refused { unfit, front });
    }

    pub(super) fn refused(&self) -> Option<&Refused> {
        self.refused.get()
    }

    /// Whether requests are being answered.
    pub(super) fn is_busy(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// Requests that have ever come.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }

    /// A request has come; it is answered once this is dropped.
    pub(super) fn ask(self: &Arc<Self>) -> Asking {
        self.requests.fetch_add(1, Relaxed);
        self.asked.fetch_add(1, Relaxed);
        Asking(Arc::clone(self))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Asking(Arc<Peer>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Relaxed);
    }
}

/// The dialect of a head that cannot be read as one.
fn front_of(head: &[u8]) -> &'static str {
    let has = |mark: &[u8]| {
        head.windows(mark.len())
            .any(|part| part.eq_ignore_ascii_case(mark))
    };
    match has(b"/v1/messages") || has(b"anthropic-version") {
        true => "anthropic",
        false => "openai",
    }
}
