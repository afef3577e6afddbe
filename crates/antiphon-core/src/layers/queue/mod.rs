//! [`Queue`]: for a model that cannot bear many calls at once, a line in front of it.
//!
//! Whoever asks the model writes ordinary parallel code and never knows. Whether its calls run side by side or one after
//! the other is decided once, where the model is made.
//!
//! - **Order**: calls are let out strictly in the order in which they were made, and never more are out than the model bears
//!   ([`Bearing`], which may learn). In what order those begin that are let out together is up to their executor. A call is made when its future is first polled, not when it is built: one that
//!   nobody polls would hold up all behind it.
//! - **Place**: a call is out until its answer has ended or was dropped, its head alone frees nothing. One that is dropped
//!   in line leaves it, one that is dropped when it is out lets the next one go.
//! - **Failure**: what it means for the others is a choice ([`OnFailure`]).
//! - **Time**: a call that is out for too long is dropped ([`QueueConfig::call_timeout`]).
//!
//! A whole answer is handed out when it is complete, a stream with its first piece: until then a call can be taken back
//! and asked again without its caller noticing ([`Bearing::withdrawn`]).
//!
//! The line knows neither model nor clock (`gate.rs`); what it asks and tells is in `books.rs`, and what a call holds that
//! is out in `passage.rs`.

mod bearing;
mod books;
mod config;
mod gate;
mod measured;
mod passage;
mod queued;
mod snapshot;
mod sync;

use std::{
    fmt,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use self::{
    books::Books,
    gate::Gate,
    queued::{Group, Queued},
};
use super::alarm::{Alarm, Rings};
use crate::{BoxFuture, Clock, SharedModel, SystemClock};

pub use bearing::{Bearing, Ending, Fixed, Turn};
pub use config::{OnFailure, QueueConfig};
pub use measured::{ClientName, Measured, Reason, Refused, Verdict, Verdicts};
pub use snapshot::QueueSnapshot;

/// The very same model where it bears any number of calls; else the model behind a [`Queue`] of its own. What closes that
/// queue (a wrong key, a peer that is gone) closes it for good: make the model again, or a [`Queue`] that can be
/// [reset](Queue::reset).
pub fn queued(model: SharedModel) -> SharedModel {
    match model.limits().concurrency {
        None => model,
        Some(limit) => Queue::new(limit).around(model),
    }
}

/// A line in front of one or several models that share what they can bear: those of one connection, for instance. See the
/// [module](self).
///
/// ```
/// # use std::{num::NonZeroU32, time::Duration};
/// # use antiphon_core::{ChatRequest, Error, Reply, SharedModel, SystemClock};
/// # use antiphon_core::layers::queue::{Fixed, OnFailure, Queue, QueueConfig};
/// use futures_util::future::join_all;
///
/// # async fn example(client: SharedModel) -> Vec<Result<Reply, Error>> {
/// // a client that takes one call at a time, and asks a person before each
/// let config = QueueConfig {
///     on_failure: OnFailure::SkipGroup,
///     call_timeout: Some(Duration::from_secs(120)),
///     ..QueueConfig::default()
/// };
/// let queue = Queue::with(Box::new(Fixed(NonZeroU32::MIN)), config, SystemClock::shared());
/// // the calls of one task are a group: where the person says no to one, the others are not asked
/// let model = queue.around(client);
/// // ordinary parallel code: the calls start in this order, one after the other
/// join_all(["one", "two", "three"].map(|question| model.ask(ChatRequest::prompt(question)))).await
/// # }
/// ```
pub struct Queue {
    gate: Gate<Books>,
    config: QueueConfig,
    clock: Arc<dyn Clock>,
    alarm: Alarm,
    next_group: AtomicU64,
}

impl Queue {
    /// A line that lets so many calls out at once.
    pub fn new(limit: NonZeroU32) -> Arc<Self> {
        let config = QueueConfig::default();
        Self::with(Box::new(Fixed(limit)), config, SystemClock::shared())
    }

    /// A line that lets out as many calls as `bearing` says.
    pub fn with(
        bearing: Box<dyn Bearing>,
        config: QueueConfig,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let books = Books::new(bearing, Arc::clone(&clock));
        Arc::new(Self {
            gate: Gate::new(books, config.longest),
            config,
            clock,
            alarm: Alarm::default(),
            next_group: AtomicU64::new(0),
        })
    }

    /// The model behind this line. Its calls are a group of their own.
    pub fn around(self: &Arc<Self>, model: SharedModel) -> SharedModel {
        let group = Group {
            queue: Arc::clone(self),
            number: self.next_group.fetch_add(1, Relaxed),
        };
        Arc::new(Queued::new(group, model))
    }

    /// Lets calls in again after a failure that closed the line.
    pub fn reset(&self) {
        self.gate.reset();
    }

    /// A picture of the state.
    pub fn snapshot(&self) -> QueueSnapshot {
        self.gate
            .look(|books, out, waiting| books.snapshot(out, waiting))
    }

    /// After each event: the bearing may want to look earlier.
    fn keep_time(self: &Arc<Self>) {
        let (is_set, is_sooner) = self.gate.look(|books, _, _| {
            let is_sooner = books.is_alarm_sooner();
            (books.alarm().is_some(), is_sooner)
        });
        if is_set {
            self.alarm.keep(self);
        }
        if is_sooner {
            self.alarm.changed();
        }
    }
}

/// For a bearing that wants to look at calls which are out for long.
impl Rings for Queue {
    fn next_alarm(&self) -> Option<BoxFuture<'static, ()>> {
        let alarm = self.gate.look(|books, _, _| books.alarm())?;
        Some(self.clock.sleep_until(alarm))
    }

    fn ring(self: &Arc<Self>) {
        self.gate.take_back(Books::ring);
        self.keep_time();
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.snapshot()).finish()
    }
}
