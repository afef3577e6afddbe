//! [`window`]: many futures, a bounded number at once, always as many as allowed.
//!
//! Waves (start ten, wait for ten, start the next ten) leave places empty while the slowest of a wave is waited for. Here
//! the next item starts the moment one ends.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt, stream::FuturesUnordered};

use crate::BoxFuture;

/// How far past the first unfinished item [`Window::ordered`] reads on, as a multiple of the limit: one slow item shall not
/// empty the window, and a stuck one shall not fill the memory.
const READ_AHEAD: usize = 16;

/// Does `work` for each item, at most `limit` at once, and gives results as they finish, each with its item's index.
///
/// Items are taken one by one as places fall free, so a source may be endless. Nothing runs before the stream is polled, and
/// dropping it drops (cancels) what is under way.
pub fn window<'a, I, T, W, F>(items: I, limit: NonZeroUsize, work: W) -> Window<'a, T>
where
    I: IntoIterator,
    I::IntoIter: Send + 'a,
    W: FnMut(usize, I::Item) -> F + Send + 'a,
    F: Future<Output = T> + Send + 'a,
    T: Send + 'a,
{
    let mut work = work;
    let calls =
        items
            .into_iter()
            .enumerate()
            .map(move |(index, item)| -> BoxFuture<'a, (usize, T)> {
                let call = work(index, item);
                Box::pin(async move { (index, call.await) })
            });
    Window {
        calls: Box::new(calls),
        under_way: FuturesUnordered::new(),
        limit: limit.get(),
        taken: 0,
        take_up_to: usize::MAX,
    }
}

/// The stream of [`window`]: `(index, result)` in the order in which they finish.
pub struct Window<'a, T> {
    calls: Box<dyn Iterator<Item = BoxFuture<'a, (usize, T)>> + Send + 'a>,
    under_way: FuturesUnordered<BoxFuture<'a, (usize, T)>>,
    limit: usize,
    /// Items taken so far.
    taken: usize,
    /// Items that may be taken for now.
    take_up_to: usize,
}

impl<'a, T> Window<'a, T> {
    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// The next result with its item's index; `None` after the last.
    pub async fn next(&mut self) -> Option<(usize, T)> {
        StreamExt::next(self).await
    }

    /// The results in the order of their items. Results that wait for an earlier one are kept, a bounded number of them.
    pub fn ordered(self) -> Ordered<'a, T> {
        Ordered {
            window: self,
            early: BTreeMap::new(),
            next: 0,
        }
    }

    /// All results, each at its index.
    pub async fn settle(self) -> Vec<T>
    where
        T: Send,
    {
        let mut results: Vec<(usize, T)> = self.collect().await;
        results.sort_unstable_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

impl<T> Stream for Window<'_, T> {
    type Item = (usize, T);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while this.under_way.len() < this.limit && this.taken < this.take_up_to {
            let Some(call) = this.calls.next() else { break };
            this.taken += 1;
            this.under_way.push(call);
        }
        this.under_way.poll_next_unpin(context)
    }
}

impl<T> std::fmt::Debug for Window<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window")
            .field("limit", &self.limit)
            .field("taken", &self.taken)
            .field("under_way", &self.under_way.len())
            .finish_non_exhaustive()
    }
}

/// The stream of [`Window::ordered`]: results in the order of their items.
pub struct Ordered<'a, T> {
    window: Window<'a, T>,
    /// Results whose turn has not come.
    early: BTreeMap<usize, T>,
    /// The index that is given next.
    next: usize,
}

impl<T: Unpin> Ordered<'_, T> {
    /// The next item's result; `None` after the last.
    pub async fn next(&mut self) -> Option<T> {
        StreamExt::next(self).await
    }
}

impl<T: Unpin> Stream for Ordered<'_, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        loop {
            if let Some(result) = this.early.remove(&this.next) {
                this.next += 1;
                return Poll::Ready(Some(result));
            }
            let ahead = this.window.limit.saturating_mul(READ_AHEAD);
            this.window.take_up_to = this.next.saturating_add(ahead);
            match this.window.poll_next_unpin(context) {
                Poll::Ready(Some((index, result))) => drop(this.early.insert(index, result)),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<T> std::fmt::Debug for Ordered<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ordered")
            .field("window", &self.window)
            .field("early", &self.early.len())
            .field("next", &self.next)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        time::Duration,
    };

    use proptest::prelude::*;
    use tokio::time::sleep;

    use super::*;

    /// Runs on a clock that stands still until everybody waits.
    fn paused<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(test)
    }

    struct Place<'a>(&'a AtomicUsize);

    impl<'a> Place<'a> {
        fn take(places: &'a AtomicUsize, most: &AtomicUsize) -> Self {
            most.fetch_max(places.fetch_add(1, Relaxed) + 1, Relaxed);
            Self(places)
        }
    }

    impl Drop for Place<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Relaxed);
        }
    }

    proptest! {
        #[test]
        fn results_keep_their_index_and_the_limit_holds(delays in prop::collection::vec(0u64..50, 0..60), limit in 1usize..9, stop_after in 0usize..70) {
            let limit = NonZeroUsize::new(limit).unwrap();
            let (places, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let work = |index: usize, delay: u64| {
                let (places, most) = (&places, &most);
                async move {
                    let _place = Place::take(places, most);
                    sleep(Duration::from_millis(delay)).await;
                    (index, delay)
                }
            };
            paused(async {
                let all = window(delays.clone(), limit, work).settle().await;
                prop_assert_eq!(all.len(), delays.len());
                for (index, (told, delay)) in all.into_iter().enumerate() {
                    prop_assert_eq!((told, delay), (index, delays[index]));
                }
                let in_order: Vec<_> = window(delays.clone(), limit, work).ordered().collect().await;
                prop_assert!(in_order.iter().map(|(index, _)| *index).eq(0..delays.len()));
                // dropped half way, nothing goes on
                let some: Vec<_> = window(delays.clone(), limit, work).take(stop_after).collect().await;
                prop_assert_eq!(some.len(), stop_after.min(delays.len()));
                prop_assert_eq!(places.load(Relaxed), 0);
                prop_assert!(most.load(Relaxed) <= limit.get());
                Ok(())
            })?;
        }
    }

    #[test]
    fn one_slow_item_does_not_empty_the_window_nor_fill_the_memory() {
        let limit = NonZeroUsize::new(2).unwrap();
        let started = AtomicUsize::new(0);
        paused(async {
            let items = 0..;
            let mut results = window(items, limit, |index, _item: u64| {
                started.fetch_add(1, Relaxed);
                sleep(Duration::from_millis(if index == 0 { 1000 } else { 1 }))
            })
            .ordered();
            assert!(results.next().await.is_some());
            assert_eq!(started.load(Relaxed), 2 * READ_AHEAD);
        });
    }
}
