//! The line of waiting calls: strictly first in first out, and cheap to leave.

use std::collections::VecDeque;

/// A place in a [`Line`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

/// Who leaves in the middle leaves an empty place, which is dropped when it comes to the front: no search, no shift.
#[derive(Debug)]
pub(super) struct Line<T> {
    places: VecDeque<Option<T>>,
    /// Number of the place at the front.
    first: u64,
    waiting: usize,
}

impl<T> Line<T> {
    pub(super) fn new() -> Self {
        Self {
            places: VecDeque::new(),
            first: 0,
            waiting: 0,
        }
    }

    pub(super) fn join(&mut self, who: T) -> Place {
        self.places.push_back(Some(who));
        self.waiting += 1;
        Place(self.first + self.places.len() as u64 - 1)
    }

    /// Leaves the line; `None` if the place has been served already.
    pub(super) fn leave(&mut self, place: Place) -> Option<T> {
        let index = place.0.checked_sub(self.first)?;
        let who = self.places.get_mut(index as usize)?.take()?;
        self.waiting -= 1;
        self.drop_empty();
        Some(who)
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.places.front()?.as_ref()
    }

    pub(super) fn serve(&mut self) -> Option<T> {
        let who = self.places.pop_front()??;
        self.first += 1;
        self.waiting -= 1;
        self.drop_empty();
        Some(who)
    }

    /// Calls that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Keeps the front occupied, so that looking at it is enough.
    fn drop_empty(&mut self) {
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first += 1;
        }
    }
}
