//! [`DynamicBatcher`]: items of many callers, worked on together.

use std::{
    future::poll_fn,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{BoxFuture, Clock, Error, ErrorKind, SystemClock};

/// Does the work of a whole group: one result for each item, in their order.
type Work<T, R> =
    dyn Fn(Vec<T>) -> BoxFuture<'static, Vec<Result<R, Error>>> + Send + Sync + 'static;

/// Somebody who waits for the result of an item.
type Waiting<R> = oneshot::Sender<Result<R, Error>>;

/// Gathers items that callers submit one by one and works on them together: as soon as there are `size`, or when the first
/// of them has waited for `wait`. Each caller gets the result of its own item.
///
/// A caller that hangs up before its group has begun is left out of it; a group that nobody waits for any more is dropped.
///
/// ```
/// # use std::time::Duration;
/// # use antiphon_core::patterns::DynamicBatcher;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let squares = DynamicBatcher::new(10, Duration::from_millis(100), |numbers: Vec<u32>| async move {
///     numbers.into_iter().map(|number| Ok(number * number)).collect()
/// });
/// let (three, four) = tokio::join!(squares.submit(3), squares.submit(4));
/// assert_eq!((three.unwrap(), four.unwrap()), (9, 16));
/// # });
/// ```
pub struct DynamicBatcher<T, R> {
    inner: Arc<Inner<T, R>>,
}

struct Inner<T, R> {
    size: usize,
    wait: Duration,
    clock: Arc<dyn Clock>,
    work: Box<Work<T, R>>,
    gathering: Mutex<Gathering<T, R>>,
}

struct Gathering<T, R> {
    items: Vec<(T, Waiting<R>)>,
    /// Groups are numbered, so that a timer knows its own.
    group: u64,
}

impl<T, R> DynamicBatcher<T, R>
where
    T: Send + 'static,
    R: Send + 'static,
{
    /// Gathers up to `size` items (0 counts as 1) for at most `wait`. `work` gives one result for each item, in their
    /// order; an item without one fails with [`ErrorKind::BadResponse`].
    pub fn new<F>(
        size: usize,
        wait: Duration,
        work: impl Fn(Vec<T>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Vec<Result<R, Error>>> + Send + 'static,
    {
        Self::with_clock(size, wait, SystemClock::shared(), work)
    }

    /// As [`Self::new`], with another clock than the runtime's.
    pub fn with_clock<F>(
        size: usize,
        wait: Duration,
        clock: Arc<dyn Clock>,
        work: impl Fn(Vec<T>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Vec<Result<R, Error>>> + Send + 'static,
    {
        let work: Box<Work<T, R>> = Box::new(move |items| Box::pin(work(items)));
        let gathering = Gathering {
            items: Vec::new(),
            group: 0,
        };
        Self {
            inner: Arc::new(Inner {
                size: size.max(1),
                wait,
                clock,
                work,
                gathering: Mutex::new(gathering),
            }),
        }
    }

    /// Submits an item and waits for its result. Dropping the future hangs up.
    ///
    /// # Errors
    /// What the work says of the item; [`ErrorKind::BadResponse`] where it says nothing.
    pub async fn submit(&self, item: T) -> Result<R, Error> {
        let (told, result) = oneshot::channel();
        self.inner.join(item, told);
        result.await.unwrap_or_else(|_| Err(no_result()))
    }
}

impl<T: Send + 'static, R: Send + 'static> Inner<T, R> {
    fn join(self: &Arc<Self>, item: T, told: Waiting<R>) {
        let mut gathering = self.lock();
        gathering.items.retain(|(_, told)| !told.is_closed());
        gathering.items.push((item, told));
        if gathering.items.len() >= self.size {
            let group = gathering.take();
            drop(gathering);
            self.begin(group);
        } else if gathering.items.len() == 1 {
            // whoever waited before has hung up, and with them their timer's reason
            gathering.group += 1;
            let number = gathering.group;
            drop(gathering);
            self.begin_later(number);
        }
    }

    /// Begins the group when its first item has waited long enough, unless it was full before.
    fn begin_later(self: &Arc<Self>, number: u64) {
        let due = self.clock.sleep_until(self.clock.now() + self.wait);
        let this = Arc::clone(self);
        tokio::spawn(async move {
            due.await;
            let mut gathering = this.lock();
            if gathering.group == number {
                let group = gathering.take();
                drop(gathering);
                this.begin(group);
            }
        });
    }

    fn begin(self: &Arc<Self>, group: Vec<(T, Waiting<R>)>) {
        let wanted = group.into_iter().filter(|(_, told)| !told.is_closed());
        let (items, mut waiting): (Vec<T>, Vec<Waiting<R>>) = wanted.unzip();
        if items.is_empty() {
            return;
        }
        let work = (self.work)(items);
        tokio::spawn(async move {
            let results = tokio::select! {
                results = work => results,
                () = nobody_waits(&mut waiting) => return,
            };
            let results = results
                .into_iter()
                .map(Some)
                .chain(std::iter::repeat_with(|| None));
            for (told, result) in waiting.into_iter().zip(results) {
                // who has hung up does not want it
                drop(told.send(result.unwrap_or_else(|| Err(no_result()))));
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Gathering<T, R>> {
        self.gathering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, R> Gathering<T, R> {
    fn take(&mut self) -> Vec<(T, Waiting<R>)> {
        self.group += 1;
        mem::take(&mut self.items)
    }
}

/// Waits until everybody has hung up.
async fn nobody_waits<R>(waiting: &mut [Waiting<R>]) {
    poll_fn(|context| {
        let polled = waiting.iter_mut().map(|told| told.poll_closed(context));
        // all are polled, so that each wakes us
        match polled.filter(Poll::is_pending).count() {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
}

fn no_result() -> Error {
    Error::new(
        ErrorKind::BadResponse,
        "the work on a group gave no result for this item",
    )
}

impl<T, R> std::fmt::Debug for DynamicBatcher<T, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamicBatcher")
            .field("size", &self.inner.size)
            .field("wait", &self.inner.wait)
            .finish_non_exhaustive()
    }
}
