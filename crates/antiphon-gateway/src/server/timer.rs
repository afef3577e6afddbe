//! A time limit that is started, ended and started again.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// A limit that runs or does not. It has no timer before it runs for the first time.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// What it runs for.
    runs: Option<Duration>,
}

impl Timer {
    /// Whether the limit has run out. It begins to run here; one of another length begins anew.
    pub(super) fn is_out(&mut self, cx: &mut Context<'_>, limit: Duration) -> bool {
        let begins = self.runs.replace(limit) != Some(limit);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if begins {
                    sleep.as_mut().reset(Instant::now() + limit);
                }
                sleep
            }
            None => self.sleep.insert(Box::pin(tokio::time::sleep(limit))),
        };
        sleep.as_mut().poll(cx) == Poll::Ready(())
    }

    /// Ends it: the next time begins anew.
    pub(super) fn end(&mut self) {
        self.runs = None;
    }
}
