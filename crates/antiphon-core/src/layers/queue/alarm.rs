//! The one timer of a queue whose bearing wants to look at calls that are out for long.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::{runtime::Handle, sync::Notify, task::JoinHandle};

use super::Queue;

#[derive(Debug, Default)]
pub(super) struct Alarm {
    changed: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Alarm {
    /// Sees to it that the task runs. It ends with the queue, and with its runtime: then the next event starts another.
    pub(super) fn keep(&self, queue: &Arc<Queue>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        // a body may be dropped outside any runtime; whoever is let out because of it is inside one
        if let Ok(runtime) = Handle::try_current() {
            let changed = Arc::clone(&self.changed);
            *task = Some(runtime.spawn(ring(Arc::downgrade(queue), changed)));
        }
    }

    /// It is to ring at another time.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

async fn ring(queue: Weak<Queue>, changed: Arc<Notify>) {
    loop {
        let Some(alarm) = queue.upgrade().map(|queue| queue.next_alarm()) else {
            return;
        };
        let Some(alarm) = alarm else {
            changed.notified().await;
            continue;
        };
        tokio::select! {
            () = changed.notified() => {}
            () = alarm => {
                if let Some(queue) = queue.upgrade() {
                    queue.ring();
                }
            }
        }
    }
}
