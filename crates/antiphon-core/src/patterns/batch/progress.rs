//! Telling a program of each outcome, whatever its callback does.

use std::{
    any::Any,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::BatchOutcome;

/// A callback that says what went wrong with it, if anything.
pub(super) type Callback<A> =
    Box<dyn FnMut(usize, usize, &BatchOutcome<A>) -> Option<String> + Send>;

/// What a progress callback may return: nothing, or a [`Result`].
pub trait CallbackResult {
    /// Why the callback failed, if it did.
    fn failure(self) -> Option<String>;
}

impl CallbackResult for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Display> CallbackResult for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// A progress callback failed. The outcome it was told of is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackFailure {
    /// The request whose outcome it was told of.
    pub index: usize,
    /// Its error, or the words of its panic.
    pub message: String,
}

/// Counts the outcomes of one run.
#[derive(Debug)]
pub(super) struct Reporter {
    total: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    done: usize,
    failures: Vec<CallbackFailure>,
}

impl Reporter {
    pub(super) fn new(total: usize) -> Self {
        Self {
            total,
            state: Mutex::default(),
        }
    }

    /// One more is done.
    pub(super) fn tell<A>(&self, callback: &mut Option<Callback<A>>, outcome: &BatchOutcome<A>) {
        let done = {
            let mut state = lock(&self.state);
            state.done += 1;
            state.done
        };
        let Some(callback) = callback else { return };
        // what the callback itself leaves half done after a panic is its own affair
        let called = catch_unwind(AssertUnwindSafe(|| callback(done, self.total, outcome)));
        let failed = called.unwrap_or_else(|panic| Some(words(panic.as_ref())));
        if let Some(message) = failed {
            let index = outcome.index;
            lock(&self.state)
                .failures
                .push(CallbackFailure { index, message });
        }
    }

    pub(super) fn failures(&self) -> Vec<CallbackFailure> {
        lock(&self.state).failures.clone()
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let words = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", words.unwrap_or("without words"))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
