//! A model whose answers are told as the progress of a call.

use std::sync::{Arc, Mutex, PoisonError};

use antiphon_core::{BoxFuture, ChatRequest, ChatResponse, Error, Model, SharedModel, chat::Body};
use antiphon_mcp::Progress;

/// Counts what is done of a call, and tells its client.
#[derive(Debug)]
pub(super) struct Watch {
    progress: Progress,
    count: Mutex<Count>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    done: u64,
    failed: u64,
    total: u64,
}

impl Watch {
    /// So many answers are expected.
    pub(super) fn new(progress: &Progress, total: usize) -> Arc<Self> {
        let total = total as u64;
        Arc::new(Self {
            progress: progress.clone(),
            count: Mutex::new(Count {
                done: 0,
                failed: 0,
                total,
            }),
        })
    }

    /// The model, whose answers are counted.
    pub(super) fn over(self: &Arc<Self>, model: SharedModel) -> SharedModel {
        Arc::new(Watched {
            inner: model,
            watch: Arc::clone(self),
        })
    }

    fn ended(&self, failed: bool) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.done += 1;
        count.failed += u64::from(failed);
        // more calls than were foreseen: texts that had to be reduced once more
        count.total = count.total.max(count.done);
        let Count {
            done,
            failed,
            total,
        } = *count;
        // told under the lock, so that numbers go up
        tell(&self.progress, done, Some(total), failed, "answers");
    }

    /// All is done, also what nobody had to be asked for.
    pub(super) fn finish(&self) {
        let Count { total, .. } = *self.count.lock().unwrap_or_else(PoisonError::into_inner);
        self.progress
            .tell(total, Some(total), Some("done".to_owned()));
    }
}

/// So many are done, of so many where that is known, and so many of them have failed.
pub(super) fn tell(progress: &Progress, done: u64, total: Option<u64>, failed: u64, what: &str) {
    let of = total.map_or_else(String::new, |total| format!(" of {total}"));
    let failed = match failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    progress.tell(done, total, Some(format!("{done}{of} {what}{failed}")));
}

#[derive(Debug)]
struct Watched {
    inner: SharedModel,
    watch: Arc<Watch>,
}

impl Model for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let reply = self.inner.ask(request).await;
            self.watch.ended(reply.is_err());
            let reply = reply?;
            Ok(ChatResponse {
                head: reply.head,
                body: Body::Ready(reply.answer),
            })
        })
    }
}
