//! How many calls are under way, and whether more are taken.

use std::sync::{
    Arc,
    atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

/// Counts calls to models from their request to the end of their answer.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    under_way: AtomicUsize,
    is_draining: AtomicBool,
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
}
