//! Random calls with random delays, failures and drops, in paused time, under every policy and limits that change.

mod plan;
mod seen;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use antiphon_core::{
    BoxFuture, ChatRequest, ErrorKind, SharedModel, SystemClock,
    chat::Delivery,
    layers::queue::{OnFailure, Queue},
};
use futures_util::stream;
use proptest::prelude::*;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::{
    plan::{Call, Fate, Plan, plan},
    seen::{Moody, Shared},
};
use super::{Client, MS, on_failure};
use crate::scripted::{Outcome, delta, error, last_delta, ready, streamed};

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
