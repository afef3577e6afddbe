//! [`ByteBudget`]: as many requests and answers in memory as were allowed, in bytes.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::Semaphore;

use crate::{Answer, ChatRequest};

/// Bytes of an answer for each token of its cap: text of about four bytes a token.
const BYTES_PER_TOKEN: usize = 4;
/// What an answer without a cap is thought to need before one has come.
const FIRST_ANSWER: usize = 4096;

/// A budget of bytes that requests and answers in flight share, first come, first served. Several batches may share one.
///
/// How large an answer will be is known only afterwards. So a request reserves its own bytes and a bound for its answer
/// (four bytes for each token of its output cap, else as much as the largest answer so far), and settles on the real
/// sizes when the answer has come. What a surprisingly large answer takes beyond its bound is a debt: nobody else is let
/// in before it is paid. A request larger than the whole budget passes, alone.
#[derive(Debug)]
pub struct ByteBudget {
    bytes: usize,
    free: Arc<Semaphore>,
    largest_answer: AtomicUsize,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    /// Held now.
    held: usize,
    /// The most ever held.
    peak: usize,
    /// Held beyond what the semaphore had left.
    debt: usize,
}

impl ByteBudget {
    /// A budget of so many bytes, at least one.
    pub fn new(bytes: usize) -> Arc<Self> {
        let bytes = bytes.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            bytes,
            free: Arc::new(Semaphore::new(bytes)),
            largest_answer: AtomicUsize::new(FIRST_ANSWER),
            books: Mutex::default(),
        })
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.lock().held
    }

    /// The most bytes that were ever held at once.
    pub fn peak(&self) -> usize {
        self.lock().peak
    }

    /// Waits until there is room for a request and its answer. Dropping the future leaves the line.
    pub async fn admit(self: &Arc<Self>, request: &ChatRequest) -> Hold {
        let own = request.content_bytes();
        let answer = match request.max_output_tokens() {
            Some(tokens) => usize::try_from(tokens)
                .unwrap_or(usize::MAX)
                .saturating_mul(BYTES_PER_TOKEN),
            None => self.largest_answer.load(Relaxed),
        };
        // the semaphore counts by u32; nothing in one piece is larger than that
        let most = self.bytes.min(u32::MAX as usize);
        let reserved = own.saturating_add(answer).min(most);
        // the semaphore is never closed
        if let Ok(permit) = self.free.acquire_many(reserved as u32).await {
            permit.forget();
        }
        let mut books = self.lock();
        books.held += reserved;
        books.peak = books.peak.max(books.held);
        drop(books);
        Hold {
            budget: Arc::clone(self),
            request: own,
            held: reserved,
        }
    }

    /// Notes that what was held as `before` is now `after` bytes.
    fn change(&self, before: usize, after: usize) {
        let mut books = self.lock();
        books.held = books.held - before + after;
        books.peak = books.peak.max(books.held);
        if after >= before {
            let grown = after - before;
            books.debt += grown - self.free.forget_permits(grown);
        } else {
            let freed = before - after;
            let paid = freed.min(books.debt);
            books.debt -= paid;
            self.free.add_permits(freed - paid);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's share of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Hold {
    budget: Arc<ByteBudget>,
    request: usize,
    held: usize,
}

impl Hold {
    /// The answer has come: from now on the real sizes are held.
    pub fn settle(&mut self, answer: &Answer) {
        let bytes = answer_bytes(answer);
        self.budget.largest_answer.fetch_max(bytes, Relaxed);
        self.settle_bytes(bytes);
    }

    /// As [`Self::settle`], where something else than an answer came, of so many bytes.
    pub fn settle_bytes(&mut self, bytes: usize) {
        let real = self.request.saturating_add(bytes);
        self.budget.change(self.held, real);
        self.held = real;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.change(self.held, 0);
    }
}

/// Bytes of text and data that an answer keeps in memory.
fn answer_bytes(answer: &Answer) -> usize {
    let calls = answer.tool_calls.iter();
    let calls: usize = calls
        .map(|call| call.id.len() + call.name.len() + call.arguments.len())
        .sum();
    let refusal = answer.refusal.as_ref().map_or(0, String::len);
    answer.text.len() + answer.body.len() + refusal + calls
}
