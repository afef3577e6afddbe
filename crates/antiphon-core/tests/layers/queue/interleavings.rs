//! Every order in which threads can meet at the gate: its own file, over a lock that tries them one after the other.
//!
//! A wake-up that is lost is a thread that waits for ever, which fails the test, as does a call let out beyond the limit,
//! out of order or after the end. Bounded to
//! two switches between threads where none had to be; `LOOM_MAX_PREEMPTIONS=4 cargo nextest run -p antiphon-core -E
//! 'test(interleavings)'` tries more of them, in minutes, and 100 is as good as no bound, for whoever has hours.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
};

use loom::{future::block_on, thread};

use self::gate::{Gate, Keeper, Refused, Scope};

/// What the gate's file names beside the standard library.
mod sync {
    pub(super) use loom::sync::Mutex;
}

#[path = "../../../src/layers/queue/gate.rs"]
#[allow(dead_code, reason = "the bound on its length is tested elsewhere")]
mod gate;

/// How a call ends that is out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Answered,
    Dropped,
    Failed,
}

/// Checks, under the gate's lock, all that the gate tells it.
#[derive(Debug)]
struct Judge {
    limit: usize,
    /// The limit after the next call that ends.
    next_limit: Option<usize>,
    out: Vec<u64>,
    joined: usize,
    /// Number of the call that was let out last.
    last: Option<usize>,
    refused: usize,
    is_over: bool,
    /// Calls that wait again may be let out before those that were let out last.
    is_ordered: bool,
}

impl Keeper for Judge {
    type Since = usize;
    type Ending = Ending;
    type Refusal = &'static str;

    fn limit(&self) -> usize {
        self.limit
    }

    fn joined(&mut self) -> usize {
        self.joined += 1;
        self.joined
    }

    fn let_out(&mut self, turn: u64, since: usize, out: usize, _waiting: usize) {
        assert!(!self.is_over, "let out after the end");
        assert!(out <= self.limit, "{out} out");
        assert!(!self.is_ordered || self.last < Some(since), "out of order");
        self.last = Some(since);
        self.out.push(turn);
    }

    fn ended(&mut self, turn: u64, ending: Ending) {
        self.is_over |= ending == Ending::Failed;
        self.limit = self.next_limit.take().unwrap_or(self.limit);
        self.out.retain(|out| *out != turn);
    }

    fn refused(&mut self) {
        self.refused += 1;
    }

    fn waits(&mut self, _waiting: usize) {}
}

/// A gate and the calls that really run behind it.
struct World {
    gate: Gate<Judge>,
    running: AtomicUsize,
    most_running: AtomicUsize,
}

impl World {
    fn new(limit: usize, next_limit: Option<usize>) -> Arc<Self> {
        let judge = Judge {
            limit,
            next_limit,
            out: Vec::new(),
            joined: 0,
            last: None,
            refused: 0,
            is_over: false,
            is_ordered: true,
        };
        Arc::new(Self {
            gate: Gate::new(judge, None),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
        })
    }

    /// A call from its beginning to its end; whether it was let out.
    async fn call(&self, ending: Ending) -> bool {
        let Ok(ticket) = self.gate.join(0) else {
            return false;
        };
        let Ok(turn) = poll_fn(|cx| self.gate.poll_turn(ticket, cx)).await else {
            return false;
        };
        self.run();
        self.end(turn, ending);
        true
    }

    fn run(&self) {
        // nobody waits who could be out
        self.gate.look(|judge, out, waiting| {
            assert!(
                waiting == 0 || out >= judge.limit,
                "{out} out, {waiting} waiting"
            );
        });
        let running = self.running.fetch_add(1, SeqCst) + 1;
        self.most_running.fetch_max(running, SeqCst);
        // threads may meet here
        thread::yield_now();
    }

    fn end(&self, turn: u64, ending: Ending) {
        self.running.fetch_sub(1, SeqCst);
        let closes = (ending == Ending::Failed).then_some((Scope::Whole, "broken"));
        self.gate.end(turn, ending, closes);
    }

    /// A call that is given up after it has looked once; what it was told then it has not heard.
    async fn give_up(&self) {
        let Ok(ticket) = self.gate.join(0) else {
            return;
        };
        let mut looked = false;
        let turn = poll_fn(|cx| match self.gate.poll_turn(ticket, cx) {
            Poll::Ready(turn) => Poll::Ready(turn.ok()),
            Poll::Pending if std::mem::replace(&mut looked, true) => Poll::Ready(None),
            Poll::Pending => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        });
        match turn.await {
            Some(turn) => {
                self.run();
                self.end(turn, Ending::Dropped);
            }
            None => self.gate.leave(ticket, Ending::Dropped),
        }
    }

    /// A call that says nothing while others are out with it, until it is taken back.
    async fn call_that_may_hang(&self) {
        let Ok(mut ticket) = self.gate.join(0) else {
            panic!("nothing has failed")
        };
        loop {
            let turn = poll_fn(|cx| self.gate.poll_turn(ticket, cx)).await;
            let turn = turn.expect("nothing has failed");
            self.run();
            let is_stuck = self.gate.look(|judge, _, _| judge.limit > 1);
            if !is_stuck {
                return self.end(turn, Ending::Answered);
            }
            poll_fn(|cx| self.gate.poll_taken_back(turn, cx)).await;
            self.running.fetch_sub(1, SeqCst);
            let again = self.gate.wait_again(turn).expect("it is out");
            ticket = again.expect("nothing has failed");
        }
    }

    /// All is over: nobody is out, nobody waits, and no more calls ran at once than were allowed.
    fn is_settled(&self, most: usize) {
        self.gate.look(|_, out, waiting| {
            assert_eq!((out, waiting), (0, 0), "out and waiting");
        });
        assert!(self.most_running.load(SeqCst) <= most);
    }
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}

fn spawn<T: 'static>(
    world: &Arc<World>,
    act: impl AsyncFnOnce(&World) -> T + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    thread::spawn(move || block_on(act(&world)))
}

#[test]
fn everybody_who_waits_is_let_out() {
    for limit in [1, 2] {
        check(move || {
            let world = World::new(limit, None);
            let others =
                [0; 2].map(|_| spawn(&world, async |world| world.call(Ending::Answered).await));
            assert!(block_on(world.call(Ending::Answered)));
            assert!(others.into_iter().all(|other| other.join().unwrap()));
            world.is_settled(limit);
        });
    }
}

#[test]
fn a_limit_that_rises_lets_out_all_that_it_allows() {
    check(|| {
        let world = World::new(1, Some(2));
        let others =
            [0; 2].map(|_| spawn(&world, async |world| world.call(Ending::Answered).await));
        assert!(block_on(world.call(Ending::Answered)));
        assert!(others.into_iter().all(|other| other.join().unwrap()));
        world.is_settled(2);
    });
}

#[test]
fn whoever_gives_up_lets_the_next_one_go() {
    check(|| {
        let world = World::new(1, None);
        let leaving = spawn(&world, async |world| world.give_up().await);
        let other = spawn(&world, async |world| world.call(Ending::Dropped).await);
        assert!(block_on(world.call(Ending::Answered)));
        leaving.join().unwrap();
        assert!(other.join().unwrap());
        world.is_settled(1);
    });
}

#[test]
fn after_a_failure_that_ends_all_nobody_is_let_out() {
    for limit in [1, 2] {
        check(move || {
            let world = World::new(limit, None);
            let failing = spawn(&world, async |world| world.call(Ending::Failed).await);
            let other = spawn(&world, async |world| world.call(Ending::Answered).await);
            let mine = block_on(world.call(Ending::Answered));
            let let_out = [failing.join().unwrap(), other.join().unwrap(), mine];
            assert!(let_out[0], "nothing has failed before it");
            let refused = let_out.iter().filter(|is_out| !**is_out).count();
            world
                .gate
                .look(|judge, _, _| assert_eq!(judge.refused, refused));
            assert_eq!(world.gate.join(0), Err(Refused::Closed("broken")));
            world.is_settled(limit);
        });
    }
}

#[test]
fn a_line_that_is_opened_again_moves_on() {
    check(|| {
        let world = World::new(1, None);
        let failing = spawn(&world, async |world| world.call(Ending::Failed).await);
        let other = spawn(&world, async |world| world.call(Ending::Answered).await);
        assert!(failing.join().unwrap());
        world.gate.look(|judge, _, _| judge.is_over = false);
        world.gate.reset();
        assert!(block_on(world.call(Ending::Answered)));
        other.join().unwrap();
        world.is_settled(1);
    });
}

#[test]
fn whoever_is_taken_back_is_let_out_again() {
    check(|| {
        let world = World::new(2, None);
        world.gate.look(|judge, _, _| judge.is_ordered = false);
        let others = [0; 2].map(|_| spawn(&world, async |world| world.call_that_may_hang().await));
        world.gate.take_back(|judge| {
            judge.limit = 1;
            judge.out.clone()
        });
        for other in others {
            other.join().unwrap();
        }
        world.is_settled(2);
    });
}
