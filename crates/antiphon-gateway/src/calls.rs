//! How many calls are under way, and whether more are taken.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use antiphon::{Error, ErrorKind};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Counts calls to models from their request to the end of their answer.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    under_way: AtomicUsize,
    is_draining: AtomicBool,
    /// Wakes who waits for the last one.
    none_left: Notify,
    /// The time for calls under way is over.
    ending: CancellationToken,
    /// The same for those who look with every piece.
    is_ending: AtomicBool,
    /// Bytes of bodies that calls hold.
    bytes: AtomicU64,
}

impl Calls {
    /// One more, unless that makes more than `most`. It ends when the permit is dropped.
    pub(crate) fn enter(self: &Arc<Self>, most: usize) -> Option<Permit> {
        let entered = self
            .under_way
            .fetch_update(AcqRel, Relaxed, |now| (now < most).then_some(now + 1));
        entered.is_ok().then(|| Permit(Arc::clone(self)))
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Acquire)
    }

    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Acquire)
    }

    /// Ready once none is under way. One can wait at a time, after [`Self::drain`].
    pub(crate) async fn ended(&self) {
        while self.under_way() > 0 {
            self.none_left.notified().await;
        }
    }

    /// Ends all that are under way: their callers are told.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Release);
        self.ending.cancel();
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Acquire)
    }

    /// Ready once all are ended.
    pub(crate) fn ending(&self) -> WaitForCancellationFutureOwned {
        self.ending.clone().cancelled_owned()
    }
}

/// What callers are told when the gateway stops before their answer, or does not take their call any more.
pub(crate) fn stopping() -> Error {
    let message = "the gateway is stopping: ask again, and another one may answer";
    Error::new(ErrorKind::Stopped, message)
        .with_status(503)
        .with_retry_after(Some(Duration::from_secs(1)))
}

/// A call that is under way.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Calls>);

impl Drop for Permit {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, AcqRel) == 1 && self.0.is_draining() {
            self.0.none_left.notify_one();
        }
    }
}

/// Room for the body of one call among those of all.
#[derive(Debug)]
pub(crate) struct Room {
    calls: Arc<Calls>,
    taken: u64,
    /// What all may have.
    most: u64,
}

impl Room {
    /// None is taken yet.
    pub(crate) fn new(calls: Arc<Calls>, most: u64) -> Self {
        Self {
            calls,
            taken: 0,
            most,
        }
    }

    /// Takes room for so many bytes in all. Gives whether there is; what was taken before stays.
    pub(crate) fn grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.taken);
        let grown = self.calls.bytes.fetch_update(AcqRel, Relaxed, |now| {
            now.checked_add(more).filter(|sum| *sum <= self.most)
        });
        if grown.is_ok() {
            self.taken += more;
        }
        grown.is_ok()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.calls.bytes.fetch_sub(self.taken, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_ends_with_its_permit() {
        let calls = Arc::new(Calls::default());
        let first = calls.enter(2).unwrap();
        let second = calls.enter(2).unwrap();
        assert!(calls.enter(2).is_none());
        assert_eq!(calls.under_way(), 2);
        drop(first);
        assert!(calls.enter(2).is_some());
        drop(second);
        assert_eq!(calls.under_way(), 0);
        assert!(calls.enter(0).is_none());
    }

    #[tokio::test]
    async fn who_waits_for_the_last_call_is_woken_by_it() {
        let calls = Arc::new(Calls::default());
        let (first, second) = (calls.enter(2).unwrap(), calls.enter(2).unwrap());
        calls.drain();
        let waits = tokio::spawn({
            let calls = Arc::clone(&calls);
            async move { calls.ended().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(second);
        waits.await.unwrap();
        calls.ended().await;
        assert!(!calls.is_ending());
        calls.end();
        calls.ending().await;
        assert!(calls.is_ending());
    }

    #[test]
    fn room_is_given_back() {
        let calls = Arc::new(Calls::default());
        let mut first = Room::new(calls.clone(), 10);
        let mut second = Room::new(calls.clone(), 10);
        assert!(first.grow_to(4) && first.grow_to(3) && first.grow_to(6));
        assert!(second.grow_to(4) && !second.grow_to(5));
        drop(first);
        assert!(second.grow_to(10));
        drop(second);
        assert_eq!(calls.bytes.load(Relaxed), 0);
    }
}
