//! [`Alarm`]: the one timer of what many calls share, for moments that none of them would notice.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::{runtime::Handle, sync::Notify, task::JoinHandle};

use crate::BoxFuture;

/// What has an alarm.
pub(super) trait Rings: Send + Sync + 'static {
    /// Waits until the alarm is to ring; `None` while there is nothing to wait for.
    fn next_alarm(&self) -> Option<BoxFuture<'static, ()>>;

    /// Its time has come.
    fn ring(self: &Arc<Self>);
}

#[derive(Debug, Default)]
pub(super) struct Alarm {
    changed: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Alarm {
    /// Sees to it that the task runs. It ends with its owner, and with its runtime: then the next event starts another.
    pub(super) fn keep<T: Rings>(&self, owner: &Arc<T>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        // a body may be dropped outside any runtime; whoever is let out because of it is inside one
        if let Ok(runtime) = Handle::try_current() {
            let changed = Arc::clone(&self.changed);
            *task = Some(runtime.spawn(ring(Arc::downgrade(owner), changed)));
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

async fn ring<T: Rings>(owner: Weak<T>, changed: Arc<Notify>) {
    loop {
        let Some(alarm) = owner.upgrade().map(|owner| owner.next_alarm()) else {
            return;
        };
        let Some(alarm) = alarm else {
            changed.notified().await;
            continue;
        };
        tokio::select! {
            () = changed.notified() => {}
            () = alarm => {
                if let Some(owner) = owner.upgrade() {
                    owner.ring();
                }
            }
        }
    }
}
