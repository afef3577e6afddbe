//! Random calls with random delays, failures and drops, in paused time, under every policy and limits that change.

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    ops::Range,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use antiphon_core::{
    BoxFuture, ChatRequest, ErrorKind, Moment, SharedModel, SystemClock,
    chat::Delivery,
    layers::queue::{Bearing, Ending, OnFailure, Queue, Turn},
};
use futures_util::stream;
use proptest::prelude::*;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Client, MS, on_failure};
use crate::scripted::{Outcome, delta, error, last_delta, ready, streamed};

/// How a call ends at the client.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answer,
    Stream,
    /// A stream that breaks after its first piece.
    Break,
    Fail,
    /// The peer is gone.
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    group: usize,
    /// Milliseconds until it is made.
    after: u32,
    /// Milliseconds that each step of it takes.
    takes: u32,
    fate: Fate,
    /// Its caller gives it up after so many milliseconds.
    patience: Option<u32>,
}

#[derive(Clone, Debug)]
struct Plan {
    policy: OnFailure,
    calls: Vec<Call>,
    /// Limits, one after the other with each event.
    limits: Vec<u32>,
    /// Milliseconds after which calls are taken back, with the number of those that are.
    taken_back: Vec<(u32, usize)>,
    resets: Vec<u32>,
}

fn call() -> impl Strategy<Value = Call> {
    let fate = prop_oneof![
        8 => Just(Fate::Answer),
        4 => Just(Fate::Stream),
        1 => Just(Fate::Break),
        1 => Just(Fate::Fail),
        1 => prop::bool::weighted(0.3).prop_map(|gone| if gone { Fate::Gone } else { Fate::Fail }),
    ];
    let patience = prop::option::weighted(0.3, 0..40_u32);
    (0..3_usize, 0..30_u32, 0..10_u32, fate, patience).prop_map(
        |(group, after, takes, fate, patience)| Call {
            group,
            after,
            takes,
            fate,
            patience,
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let policy = prop_oneof![
        Just(OnFailure::Isolate),
        Just(OnFailure::Poison),
        Just(OnFailure::SkipGroup),
    ];
    let limits = prop::collection::vec(1..5_u32, 1..6);
    let taken_back = prop::collection::vec((1..60_u32, 1..4_usize), 0..4);
    let resets = prop::collection::vec(1..60_u32, 0..2);
    let calls = prop::collection::vec(call(), 1..25);
    (policy, calls, limits, taken_back, resets).prop_map(
        |(policy, calls, limits, mut taken_back, resets)| {
            taken_back.sort_unstable();
            Plan {
                policy,
                calls,
                limits,
                taken_back,
                resets,
            }
        },
    )
}

/// All that is seen, and what is wrong with it.
#[derive(Debug, Default)]
struct Seen {
    faults: Vec<String>,
    /// All calls in the order in which they were made.
    made: Vec<usize>,
    /// Those that wait and have never been at the client.
    in_line: BTreeSet<usize>,
    /// Those of them that may have been refused, and have not heard of it.
    sent_away: Vec<usize>,
    /// Calls at the client: its own count, streams to their end.
    at_client: usize,
    /// For each group, after a failure that closed it: calls that were let out by then and may still begin.
    may_begin: [Option<usize>; 3],
    refused: u64,
    let_out: u64,
}

type Shared = Arc<Mutex<Seen>>;

impl Seen {
    fn check(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(fault());
        }
    }

    /// A call of this group reaches the client when so many are out.
    fn begins(&mut self, call: usize, group: usize, out: usize) {
        self.at_client += 1;
        let at_client = self.at_client;
        self.check(at_client <= out, || {
            format!("{at_client} at the client, {out} out")
        });
        // those before it in line have been let out, too, and only not run since
        let waits =
            |other: &&usize| self.in_line.contains(other) && !self.sent_away.contains(other);
        let earlier = self.made.iter().take_while(|other| **other != call);
        let before = earlier.filter(waits).count();
        let on_their_way = out.saturating_sub(at_client);
        self.check(before <= on_their_way, || {
            format!("{call} before {before} earlier ones, of which {on_their_way} are let out")
        });
        self.in_line.remove(&call);
        if let Some(left) = &mut self.may_begin[group] {
            let is_late = *left == 0;
            *left = left.saturating_sub(1);
            self.check(!is_late, || format!("{call} begins after the end"));
        }
    }

    /// A call failed, which closes these groups, while so many were out.
    fn closes(&mut self, groups: Range<usize>, calls: &[Call], out: usize) {
        let in_line = self.in_line.iter().copied();
        self.sent_away
            .extend(in_line.filter(|other| groups.contains(&calls[*other].group)));
        let left = out.saturating_sub(self.at_client);
        for group in groups {
            self.may_begin[group].get_or_insert(left);
        }
    }
}

/// Changes its limit with each event, and takes calls back.
#[derive(Debug)]
struct Moody {
    limits: Vec<u32>,
    at: usize,
    out: Vec<Turn>,
    taken_back: Vec<(u32, usize)>,
    seen: Shared,
}

impl Bearing for Moody {
    fn limit(&self) -> NonZeroU32 {
        NonZeroU32::new(self.limits[self.at % self.limits.len()]).unwrap()
    }

    fn started(&mut self, turn: Turn, wanted: usize, _now: Moment) {
        let limit = self.limit().get() as usize;
        let mut seen = self.seen.lock().unwrap();
        seen.let_out += 1;
        let at_client = seen.at_client;
        seen.check(at_client < limit, || {
            format!("{at_client} of {limit} and one more")
        });
        self.out.push(turn);
        let out = self.out.len();
        seen.check(out <= limit, || format!("{out} of {limit} are out"));
        seen.check(wanted >= out, || format!("{wanted} wanted, {out} out"));
        self.at += 1;
    }

    fn ended(&mut self, turn: Turn, _ending: Ending, _now: Moment) {
        self.out.retain(|out| *out != turn);
        self.at += 1;
    }

    fn look_at(&self) -> Option<Moment> {
        let (after, _) = self.taken_back.first()?;
        Some(Moment::after_start(*after * MS))
    }

    fn withdrawn(&mut self, _now: Moment) -> Vec<Turn> {
        let (_, count) = self.taken_back.remove(0);
        self.out.drain(..count.min(self.out.len())).collect()
    }
}

/// Counts a call at the client, to the end of its stream.
struct AtClient(Shared);

impl Drop for AtClient {
    fn drop(&mut self) {
        self.0.lock().unwrap().at_client -= 1;
    }
}

struct World {
    plan: Plan,
    seen: Shared,
    queue: OnceLock<Arc<Queue>>,
}

impl World {
    fn out(&self) -> usize {
        self.queue.get().unwrap().snapshot().out
    }

    fn fails(&self, group: usize, is_gone: bool) {
        let out = self.out();
        let calls = &self.plan.calls;
        let mut seen = self.seen.lock().unwrap();
        match self.plan.policy {
            _ if is_gone => seen.closes(0..3, calls, out),
            OnFailure::Isolate => {}
            OnFailure::Poison => seen.closes(0..3, calls, out),
            OnFailure::SkipGroup => seen.closes(group..group + 1, calls, out),
        }
    }

    /// What the client makes of the call with this number.
    async fn answer(self: Arc<Self>, number: usize) -> Outcome {
        let Call {
            group, takes, fate, ..
        } = self.plan.calls[number];
        let out = self.out();
        self.seen.lock().unwrap().begins(number, group, out);
        let at_client = AtClient(Arc::clone(&self.seen));
        sleep(takes * MS).await;
        match fate {
            Fate::Answer => ready(&number.to_string()),
            Fate::Fail | Fate::Gone => {
                self.fails(group, fate == Fate::Gone);
                let failed = error(ErrorKind::Rejected);
                Err(if fate == Fate::Gone {
                    failed.stopping_the_run()
                } else {
                    failed
                })
            }
            Fate::Stream | Fate::Break => {
                let world = Arc::clone(&self);
                let pieces = stream::unfold(0, move |piece| {
                    let (world, _at_client) = (Arc::clone(&world), &at_client);
                    async move {
                        sleep(takes * MS).await;
                        let next = match (piece, fate) {
                            (0, _) => Ok(delta(&number.to_string())),
                            (1, Fate::Stream) => Ok(last_delta()),
                            (1, _) => {
                                world.fails(group, false);
                                Err(error(ErrorKind::Connection))
                            }
                            _ => return None,
                        };
                        Some((next, piece + 1))
                    }
                });
                streamed(pieces)
            }
        }
    }

    /// One caller, from the call to its answer.
    async fn ask(self: Arc<Self>, number: usize, model: SharedModel) {
        let call = self.plan.calls[number];
        sleep(call.after * MS).await;
        {
            let mut seen = self.seen.lock().unwrap();
            seen.made.push(number);
            seen.in_line.insert(number);
        }
        let is_stream = matches!(call.fate, Fate::Stream | Fate::Break);
        let request = ChatRequest {
            delivery: if is_stream {
                Delivery::Streamed
            } else {
                Delivery::Whole
            },
            ..ChatRequest::prompt(number.to_string())
        };
        let asked = async { model.call(request).await?.whole().await };
        let reply = match call.patience {
            Some(patience) => timeout(patience * MS, asked).await.ok(),
            None => Some(asked.await),
        };
        let mut seen = self.seen.lock().unwrap();
        let was_in_line = seen.in_line.remove(&number);
        match reply {
            Some(Ok(reply)) => {
                let text = reply.answer.text;
                seen.check(text == number.to_string(), || {
                    format!("{number} was told {text}")
                });
            }
            Some(Err(error)) if !error.may_be_billed() => seen.refused += 1,
            Some(Err(error)) => {
                seen.check(!was_in_line, || format!("{number} failed unsent: {error}"));
            }
            None => {}
        }
    }
}

/// Plays the plan to its end, and gives what was seen.
async fn play(plan: Plan) -> (Arc<Queue>, Shared) {
    let seen = Shared::default();
    let world = Arc::new(World {
        plan: plan.clone(),
        seen: Arc::clone(&seen),
        queue: OnceLock::new(),
    });
    let bearing = Moody {
        limits: plan.limits,
        at: 0,
        out: Vec::new(),
        taken_back: plan.taken_back,
        seen: Arc::clone(&seen),
    };
    let queue = Queue::with(
        Box::new(bearing),
        on_failure(plan.policy),
        SystemClock::shared(),
    );
    world.queue.set(Arc::clone(&queue)).unwrap();
    let client = {
        let world = Arc::clone(&world);
        Client::new(0, move |question: String| -> BoxFuture<'static, Outcome> {
            Box::pin(Arc::clone(&world).answer(question.parse().unwrap()))
        })
    };
    let groups: Vec<_> = (0..3).map(|_| queue.around(client.clone())).collect();
    let start = Instant::now();
    let callers = plan.calls.iter().enumerate().map(|(number, call)| {
        tokio::spawn(Arc::clone(&world).ask(number, Arc::clone(&groups[call.group])))
    });
    let callers: Vec<_> = callers.collect();
    for reset in plan.resets {
        sleep_until(start + reset * MS).await;
        seen.lock().unwrap().may_begin = [None; 3];
        queue.reset();
    }
    let all = futures_util::future::join_all(callers);
    let settled = timeout(Duration::from_secs(60), all).await;
    match settled {
        Err(_) => seen
            .lock()
            .unwrap()
            .faults
            .push("somebody waits for ever".to_owned()),
        Ok(ends) => {
            let fine = ends.into_iter().all(|end| end.is_ok());
            seen.lock()
                .unwrap()
                .check(fine, || "a caller has panicked".to_owned());
        }
    }
    (queue, seen)
}

fn cases() -> ProptestConfig {
    let named = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: named.and_then(|cases| cases.parse().ok()).unwrap_or(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_happens_the_line_keeps_its_order_and_its_limit_and_moves_on(plan in plan()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (queue, seen) = runtime.block_on(play(plan));
        let seen = seen.lock().unwrap();
        prop_assert!(seen.faults.is_empty(), "{:?}", seen.faults);
        let told = queue.snapshot();
        prop_assert_eq!((told.out, told.waiting, seen.at_client), (0, 0, 0));
        prop_assert_eq!(told.let_out, seen.let_out);
        prop_assert!(told.refused >= seen.refused, "{} and {}", told.refused, seen.refused);
        prop_assert!(told.longest_wait <= told.waited);
    }
}
