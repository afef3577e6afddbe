//! How many calls are under way, and whether more are taken.

use std::sync::{
    Arc,
    atomic::{
        AtomicBool, AtomicU64, AtomicUsize,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

/// Counts calls to models from their request to the end of their answer.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    under_way: AtomicUsize,
    is_draining: AtomicBool,
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
}

/// A call that is under way.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Calls>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, AcqRel);
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
