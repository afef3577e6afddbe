//! [`Gate`]: who waits, who is out, and who is told what. One lock, and a waker for each call.
//!
//! ```text
//! join ──> waiting ──let out──> out ──end──> over
//!             │  ^               │
//!             │  └──taken back───┘
//!             └──refused, left──> over
//! ```
//!
//! A call keeps its ticket, a number in the order of the calls. So one that is taken back waits before all others: whoever
//! waits with it came later.
//!
//! This file names nothing but the standard library and the lock beside it: a test puts another lock there, which tries
//! every order in which threads can meet here (`tests/layers/queue/interleavings.rs`).

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

use super::sync::Mutex;

/// A call's place in the order of all calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// Number of a call that is out; another one each time it is let out.
type Turn = u64;

/// Number of a group of calls.
type Group = u64;

/// Which calls a failure ends beside its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of its group.
    Group,
    /// All.
    Whole,
}

/// Why a call may not join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused<E> {
    /// Its group, or the whole gate, was closed for this reason.
    Closed(E),
    /// So many wait already.
    Full(usize),
}

/// Says how many calls may be out, and hears what happens. Called under the gate's lock.
pub(super) trait Keeper {
    /// When a call began to wait.
    type Since;
    /// What became of a call that was out.
    type Ending;
    /// Why calls are refused.
    type Refusal: Clone;

    /// Calls that may be out at once now.
    fn limit(&self) -> usize;
    /// A call begins to wait.
    fn joined(&mut self) -> Self::Since;
    /// A call was let out; so many are out and waiting now, this one included.
    fn let_out(&mut self, turn: Turn, since: Self::Since, out: usize, waiting: usize);
    /// A call that was out ended.
    fn ended(&mut self, turn: Turn, ending: Self::Ending);
    /// A call was not let in, or sent away from the line.
    fn refused(&mut self);
    /// So many wait, after something has happened.
    fn waits(&mut self, waiting: usize);
}

pub(super) struct Gate<K: Keeper> {
    /// The most that may wait.
    longest: Option<NonZeroUsize>,
    state: Mutex<State<K>>,
}

struct State<K: Keeper> {
    keeper: K,
    waiting: BTreeMap<Ticket, Waiting<K::Since>>,
    /// What calls that wait no more have not heard yet.
    decided: BTreeMap<Ticket, Result<Turn, K::Refusal>>,
    out: BTreeMap<Turn, Out>,
    closed: Option<K::Refusal>,
    closed_groups: BTreeMap<Group, K::Refusal>,
    next_ticket: u64,
    next_turn: Turn,
}

struct Waiting<S> {
    group: Group,
    since: S,
    waker: Option<Waker>,
}

struct Out {
    ticket: Ticket,
    group: Group,
    is_taken_back: bool,
    waker: Option<Waker>,
}

impl<K: Keeper> Gate<K> {
    pub(super) fn new(keeper: K, longest: Option<NonZeroUsize>) -> Self {
        let state = State {
            keeper,
            waiting: BTreeMap::new(),
            decided: BTreeMap::new(),
            out: BTreeMap::new(),
            closed: None,
            closed_groups: BTreeMap::new(),
            next_ticket: 0,
            next_turn: 0,
        };
        Self {
            longest,
            state: Mutex::new(state),
        }
    }

    /// Joins the line; [`Gate::poll_turn`] tells what becomes of it.
    pub(super) fn join(&self, group: Group) -> Result<Ticket, Refused<K::Refusal>> {
        self.act(|state, _| {
            let waiting = state.waiting.len();
            let must_wait = state.out.len() >= state.keeper.limit();
            let is_full = |longest: NonZeroUsize| must_wait && waiting >= longest.get();
            let refused = match state.refusal(group) {
                Some(why) => Some(Refused::Closed(why)),
                None => self
                    .longest
                    .is_some_and(is_full)
                    .then_some(Refused::Full(waiting)),
            };
            if let Some(refused) = refused {
                state.keeper.refused();
                return Err(refused);
            }
            let ticket = Ticket(state.next_ticket);
            state.next_ticket += 1;
            state.wait(ticket, group);
            Ok(ticket)
        })
    }

    /// Whether the call is let out. The verdict is told once.
    pub(super) fn poll_turn(
        &self,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Turn, K::Refusal>> {
        let (verdict, _old) = self.with(|state| match state.decided.remove(&ticket) {
            Some(verdict) => (Poll::Ready(verdict), None),
            None => {
                let seat = state.waiting.get_mut(&ticket);
                let waker = seat.map(|seat| &mut seat.waker);
                (Poll::Pending, waker.and_then(|waker| renew(waker, cx)))
            }
        });
        verdict
    }

    /// A call that waits is given up. If it was let out meanwhile and has not heard of it, it ends like this.
    pub(super) fn leave(&self, ticket: Ticket, ending: K::Ending) {
        let _left = self.act(|state, _| {
            if let Some(Ok(turn)) = state.decided.remove(&ticket) {
                state.out.remove(&turn);
                state.keeper.ended(turn, ending);
            }
            state.waiting.remove(&ticket)
        });
    }

    /// A call that was out ended, and with it perhaps others.
    pub(super) fn end(&self, turn: Turn, ending: K::Ending, closes: Option<(Scope, K::Refusal)>) {
        let _ended = self.act(|state, wake| {
            let ended = state.out.remove(&turn)?;
            state.keeper.ended(turn, ending);
            if let Some((scope, why)) = closes {
                state.close(scope, ended.group, why, wake);
            }
            Some(ended)
        });
    }

    /// Takes back those calls that the keeper names. Each is told by [`Gate::poll_taken_back`], and counts as out until
    /// it waits again or ends.
    pub(super) fn take_back(&self, which: impl FnOnce(&mut K) -> Vec<Turn>) {
        self.act(|state, wake| {
            for turn in which(&mut state.keeper) {
                if let Some(out) = state.out.get_mut(&turn) {
                    out.is_taken_back = true;
                    wake.extend(out.waker.take());
                }
            }
        });
    }

    /// Ready when the call is taken back.
    pub(super) fn poll_taken_back(&self, turn: Turn, cx: &mut Context<'_>) -> Poll<()> {
        let (poll, _old) = self.with(|state| match state.out.get_mut(&turn) {
            Some(out) if out.is_taken_back => (Poll::Ready(()), None),
            Some(out) => (Poll::Pending, renew(&mut out.waker, cx)),
            None => (Poll::Pending, None),
        });
        poll
    }

    /// A call that was out and has been dropped waits again, with the ticket it had; `None` if it is not out.
    pub(super) fn wait_again(&self, turn: Turn) -> Option<Result<Ticket, K::Refusal>> {
        let (ticket, _old) = self.act(|state, _| {
            let out = state.out.remove(&turn)?;
            if let Some(why) = state.refusal(out.group) {
                state.keeper.refused();
                return Some((Err(why), out.waker));
            }
            state.wait(out.ticket, out.group);
            Some((Ok(out.ticket), out.waker))
        })?;
        Some(ticket)
    }

    /// Opens what was closed. Calls that were refused stay refused, whether they have heard of it or not.
    pub(super) fn reset(&self) {
        self.with(|state| {
            state.closed = None;
            state.closed_groups.clear();
        });
    }

    /// Forgets a group of which no call will come any more.
    pub(super) fn forget(&self, group: Group) {
        self.with(|state| state.closed_groups.remove(&group));
    }

    /// Looks at the keeper and at how many are out and waiting.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut K, usize, usize) -> R) -> R {
        self.with(|state| {
            let (out, waiting) = (state.out.len(), state.waiting.len());
            look(&mut state.keeper, out, waiting)
        })
    }

    /// Does something, then lets out whoever may go because of it. Wakers are called, and dropped, outside the lock: they
    /// run others' code, which may come back here.
    fn act<R>(&self, event: impl FnOnce(&mut State<K>, &mut Vec<Waker>) -> R) -> R {
        let mut wake = Vec::new();
        let result = self.with(|state| {
            let result = event(state, &mut wake);
            state.serve(&mut wake);
            state.keeper.waits(state.waiting.len());
            result
        });
        wake.into_iter().for_each(Waker::wake);
        result
    }

    fn with<R>(&self, event: impl FnOnce(&mut State<K>) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        event(&mut state)
    }
}

impl<K: Keeper> State<K> {
    fn refusal(&self, group: Group) -> Option<K::Refusal> {
        let why = self.closed.as_ref();
        why.or_else(|| self.closed_groups.get(&group)).cloned()
    }

    fn wait(&mut self, ticket: Ticket, group: Group) {
        let seat = Waiting {
            group,
            since: self.keeper.joined(),
            waker: None,
        };
        self.waiting.insert(ticket, seat);
    }

    fn serve(&mut self, wake: &mut Vec<Waker>) {
        // the keeper may change its mind with each call
        while self.out.len() < self.keeper.limit()
            && let Some((ticket, seat)) = self.waiting.pop_first()
        {
            let turn = self.next_turn;
            self.next_turn += 1;
            let out = Out {
                ticket,
                group: seat.group,
                is_taken_back: false,
                waker: None,
            };
            self.out.insert(turn, out);
            self.decided.insert(ticket, Ok(turn));
            wake.extend(seat.waker);
            let (out, waiting) = (self.out.len(), self.waiting.len());
            self.keeper.let_out(turn, seat.since, out, waiting);
        }
    }

    /// The first reason stays: those that come after it are its consequences.
    fn close(&mut self, scope: Scope, group: Group, why: K::Refusal, wake: &mut Vec<Waker>) {
        match scope {
            Scope::Whole => _ = self.closed.get_or_insert(why),
            Scope::Group => _ = self.closed_groups.entry(group).or_insert(why),
        }
        for (ticket, seat) in std::mem::take(&mut self.waiting) {
            let Some(why) = self.refusal(seat.group) else {
                self.waiting.insert(ticket, seat);
                continue;
            };
            self.keeper.refused();
            self.decided.insert(ticket, Err(why));
            wake.extend(seat.waker);
        }
    }
}

/// The waker that was there before is given back, to be dropped outside the lock.
fn renew(waker: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    match waker {
        Some(waker) if waker.will_wake(cx.waker()) => None,
        waker => waker.replace(cx.waker().clone()),
    }
}
