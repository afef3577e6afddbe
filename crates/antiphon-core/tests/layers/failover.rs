//! A chain of two models as a gateway has it: which faults make it move on, and after how many tries.

use std::{sync::Arc, time::Duration};

use antiphon_core::{
    ChatRequest, Clock, Dice, Error, ErrorKind, FinishReason, Model, Reply, SharedModel,
    SystemClock,
    chat::Delivery,
    layers::{
        admit::{Account, AccountConfig, EndpointState},
        deadline::Deadline,
        meter::Metrics,
        retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    patterns::{Fallback, MovesOn},
    stack::{StackConfig, stack},
};
use futures_util::{StreamExt, stream};
use proptest::prelude::*;

use crate::scripted::{
    Outcome, Scripted, answer, delta, error, last_delta, ready, streamed, whole,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

/// What a session gives a link of a gateway's chain.
pub(crate) fn link_config(another_remains: bool) -> StackConfig {
    let (slow_retries, patience, total, first_token) = match another_remains {
        true => (0, PATIENCE, 60, 10),
        false => (1, 12 * PATIENCE, 600, 120),
    };
    StackConfig {
        patience: Some(patience),
        retry: RetryConfig {
            max_retries: if another_remains { 3 } else { 2 },
            slow_retries: Some(slow_retries),
            ..RetryConfig::for_callers(patience)
        },
        timeout: TimeoutConfig {
            first_byte: 30 * SECOND,
            first_token: Some(first_token * SECOND),
            idle: 30 * SECOND,
            total: total * SECOND,
            stream_total: Some(600 * SECOND),
            leaves_room: another_remains,
            ..TimeoutConfig::default()
        },
        ..StackConfig::default()
    }
}

/// A model with its stack and its account.
pub(crate) struct Link {
    pub(crate) leaf: Arc<Scripted>,
    pub(crate) account: Arc<Account>,
    pub(crate) model: SharedModel,
}

pub(crate) fn link(leaf: Arc<Scripted>, another_remains: bool, clock: &Arc<dyn Clock>) -> Link {
    let config = AccountConfig::for_callers(60 * SECOND);
    limited_link(leaf, another_remains, config, clock)
}

pub(crate) fn limited_link(
    leaf: Arc<Scripted>,
    another_remains: bool,
    config: AccountConfig,
    clock: &Arc<dyn Clock>,
) -> Link {
    let account = Account::new(config, Arc::clone(clock), Arc::new(Dice::seeded(7)));
    let config = link_config(another_remains);
    let model = stack(leaf.clone(), &config, &account, &Metrics::new());
    Link {
        leaf,
        account,
        model,
    }
}

/// A first model and a second one that is well.
pub(crate) struct Chain {
    pub(crate) first: Link,
    pub(crate) second: Link,
    pub(crate) model: SharedModel,
    pub(crate) clock: Arc<dyn Clock>,
}

pub(crate) fn chain_of(first: Link, clock: Arc<dyn Clock>) -> Chain {
    let well = Scripted::new(|_, request| async move {
        match request.delivery {
            Delivery::Whole => ready("second"),
            Delivery::Streamed => streamed(stream::iter([Ok(delta("second")), Ok(last_delta())])),
        }
    });
    let second = link(well, false, &clock);
    let links = vec![first.model.clone(), second.model.clone()];
    let model = Fallback::new("safe", links).unwrap();
    Chain {
        first,
        second,
        model: model.with_rule(MovesOn::Faults).shared(),
        clock,
    }
}

pub(crate) fn chain(first: Arc<Scripted>) -> Chain {
    let clock = SystemClock::shared();
    chain_of(link(first, true, &clock), clock)
}

impl Chain {
    pub(crate) async fn ask(&self, delivery: Delivery) -> Result<Reply, Error> {
        let request = ChatRequest {
            delivery,
            ..ChatRequest::prompt("x")
        };
        let mut reply = self.model.call(request).await?.whole().await?;
        reply.head.receipt = None;
        Ok(reply)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.now().since_start()
    }
}

/// Who answers in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    First,
    Second,
    /// The caller has the error of the first.
    Refused(ErrorKind, u16),
}

use Ends::{First, Refused, Second};

struct Case {
    fault: &'static str,
    delivery: Delivery,
    meets: fn() -> futures_util::future::BoxFuture<'static, Outcome>,
    tries: usize,
    ends: Ends,
    /// Seconds that it takes, at least and at most.
    within: (u64, u64),
}

fn refused(kind: ErrorKind, status: u16) -> Outcome {
    let body = format!("what the provider says with {status}");
    Err(error(kind).with_status(status).with_body(body.into()))
}

macro_rules! cases {
    ($($fault:literal, $delivery:ident, $meets:expr => $tries:literal, $ends:expr, $least:literal..=$most:literal;)*) => {
        [$(Case {
            fault: $fault,
            delivery: Delivery::$delivery,
            meets: || Box::pin(async { $meets }),
            tries: $tries,
            ends: $ends,
            within: ($least, $most),
        },)*]
    };
}

fn cases() -> impl IntoIterator<Item = Case> {
    use ErrorKind::{
        Auth, BadRequest, BadResponse, Connection, ContextLength, ModelNotFound, Overloaded,
        QuotaExhausted, RateLimited, ServerError, Timeout,
    };
    cases! {
        "connection refused", Whole, Err(error(Connection).not_sent()) => 4, Second, 0..=2;
        "reset", Streamed, Err(error(Connection)) => 4, Second, 0..=2;
        "silence before the headers", Streamed, std::future::pending().await => 1, Second, 30..=30;
        "silence of a whole answer", Whole, std::future::pending().await => 1, Second, 60..=60;
        "a whole answer that never ends", Whole, whole(std::future::pending()) => 1, Second, 60..=60;
        "no first event", Streamed, streamed(stream::pending()) => 1, Second, 10..=10;
        "a stall before the text", Streamed,
            streamed(stream::iter([Ok(delta(""))]).chain(stream::pending())) => 1, Second, 30..=30;
        "500", Whole, refused(ServerError, 500) => 4, Second, 0..=2;
        "502", Streamed, refused(ServerError, 502) => 4, Second, 0..=2;
        "503", Whole, refused(Overloaded, 503) => 4, Second, 0..=2;
        "529", Whole, refused(Overloaded, 529) => 4, Second, 0..=2;
        "408", Whole, refused(Timeout, 408) => 4, Second, 0..=2;
        "409", Whole, refused(ServerError, 409) => 4, Second, 0..=2;
        "429", Whole, refused(RateLimited, 429) => 4, Second, 0..=5;
        "429, retry after 1 s", Whole,
            refused(RateLimited, 429).map_err(|error| error.with_retry_after(Some(SECOND))) => 4, Second, 3..=4;
        "429, retry after 60 s", Whole,
            refused(RateLimited, 429).map_err(|error| error.with_retry_after(Some(60 * SECOND))) => 1, Second, 0..=0;
        "503 of a server that is not to be asked again", Whole,
            refused(Overloaded, 503).map_err(|error| error.with_should_retry(Some(false))) => 1, Second, 0..=0;
        "an empty account", Whole, refused(QuotaExhausted, 429) => 1, Second, 0..=0;
        "an unreadable body", Whole, whole(async { Err(error(BadResponse)) }) => 4, Second, 0..=2;
        "an error object in a 200", Whole, whole(async { Err(error(ServerError)) }) => 4, Second, 0..=2;
        "an error event", Streamed, streamed(stream::iter([Err(error(Overloaded))])) => 4, Second, 0..=2;
        "a malformed event", Streamed,
            streamed(stream::iter([Ok(delta("")), Err(error(BadResponse))])) => 4, Second, 0..=2;
        "a stream that ends at once", Streamed, streamed(stream::empty()) => 4, Second, 0..=2;
        "too long for the context", Whole, refused(ContextLength, 400) => 1, Second, 0..=0;
        "no end mark after the finish reason", Streamed,
            streamed(stream::iter([Ok(delta("first")), Ok(last_delta())])) => 1, First, 0..=0;
        "cut by a content filter", Whole, filtered() => 1, First, 0..=0;
        "against the content policy", Whole, refused(ErrorKind::Refused, 400)
            => 1, Refused(ErrorKind::Refused, 400), 0..=0;
        "400", Whole, refused(BadRequest, 400) => 1, Refused(BadRequest, 400), 0..=0;
        "401", Whole, refused(Auth, 401) => 1, Refused(Auth, 401), 0..=0;
        "403", Streamed, refused(Auth, 403) => 1, Refused(Auth, 403), 0..=0;
        "404", Whole, refused(ModelNotFound, 404) => 1, Refused(ModelNotFound, 404), 0..=0;
        "413", Whole, refused(BadRequest, 413) => 1, Refused(BadRequest, 413), 0..=0;
        "422", Whole, refused(BadRequest, 422) => 1, Refused(BadRequest, 422), 0..=0;
    }
}

fn filtered() -> Outcome {
    whole(async {
        let mut answer = answer("first");
        answer.finish_reason = FinishReason::ContentFilter;
        Ok(answer)
    })
}

#[tokio::test(start_paused = true)]
async fn each_fault_has_its_number_of_tries_and_its_end() {
    for case in cases() {
        let meets = case.meets;
        let chain = chain(Scripted::new(move |_, _| meets()));
        let ended = chain.ask(case.delivery).await;
        let name = case.fault;
        assert_eq!(chain.first.leaf.calls(), case.tries, "{name}");
        let asked_second = usize::from(case.ends == Second);
        assert_eq!(chain.second.leaf.calls(), asked_second, "{name}");
        let seconds = chain.elapsed().as_secs_f64();
        let (least, most) = case.within;
        assert!(seconds >= least as f64, "{name}: {seconds} s");
        assert!(seconds <= most as f64 + 0.001, "{name}: {seconds} s");
        match case.ends {
            First | Second => {
                let reply = ended.unwrap();
                let by = if case.ends == First {
                    "first"
                } else {
                    "second"
                };
                assert_eq!(reply.answer.text, by, "{name}");
                let attempts = case.tries + asked_second;
                assert_eq!(reply.head.attempts as usize, attempts, "{name}");
            }
            Refused(kind, status) => {
                let error = ended.unwrap_err();
                assert_eq!(
                    (error.kind(), error.status()),
                    (kind, Some(status)),
                    "{name}"
                );
                assert!(
                    error
                        .body()
                        .unwrap()
                        .ends_with(status.to_string().as_bytes())
                );
                assert_eq!(error.attempts(), 1, "{name}");
            }
        }
        for link in [&chain.first, &chain.second] {
            assert_eq!(link.account.snapshot().in_flight, 0, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_failure_is_made_good_by_the_same_model() {
    for case in cases().into_iter().filter(|case| case.tries == 4) {
        let meets = case.meets;
        let chain = chain(Scripted::new(move |number, request| async move {
            match (number, request.delivery) {
                (0, _) => meets().await,
                (_, Delivery::Whole) => ready("first"),
                _ => streamed(stream::iter([Ok(delta("first")), Ok(last_delta())])),
            }
        }));
        let reply = chain.ask(case.delivery).await.unwrap();
        let seen = (&*reply.answer.text, reply.head.attempts);
        assert_eq!(seen, ("first", 2), "{}", case.fault);
        assert_eq!(chain.second.leaf.calls(), 0, "{}", case.fault);
        assert!(chain.elapsed() < 2 * SECOND, "{}", case.fault);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_leaves_the_next_model_half_of_its_time() {
    for (delivery, deadline, took) in [
        (Delivery::Whole, 20, 10),
        (Delivery::Streamed, 20, 10),
        // where the usual limit is shorter, it holds
        (Delivery::Streamed, 100, 30),
    ] {
        let chain = chain(Scripted::new(|_, _| std::future::pending()));
        let clock = Arc::clone(&chain.clock);
        let model = Deadline::of_requests(chain.model.clone(), None, clock);
        for _ in 0..4 {
            let request = ChatRequest {
                delivery,
                deadline: Some(Duration::from_secs(deadline)),
                ..ChatRequest::prompt("x")
            };
            let reply = model.call(request).await.unwrap().whole().await.unwrap();
            assert_eq!(reply.text(), "second");
        }
        // limits of its own show that it is down, and the fourth call was the probe or did not ask it
        let elapsed = chain.elapsed().as_secs();
        assert!(
            (3 * took..=4 * took).contains(&elapsed),
            "{elapsed} s of {took} s each"
        );
        let is_up = chain.first.account.snapshot().endpoint == EndpointState::Up;
        assert_eq!(is_up, took == deadline / 2, "{deadline} s");
    }
}

/// All kinds of trouble that a model may make, each for this long.
fn trouble(number: u8, lasts: Duration) -> futures_util::future::BoxFuture<'static, Outcome> {
    Box::pin(async move {
        if number == 0 {
            return std::future::pending().await;
        }
        tokio::time::sleep(lasts).await;
        match number {
            1 => Err(error(ErrorKind::ServerError).with_status(500)),
            2 => Err(error(ErrorKind::RateLimited).with_retry_after(Some(lasts))),
            3 => streamed(stream::pending()),
            4 => streamed(stream::iter([Ok(delta("a"))]).chain(stream::pending())),
            5 => Err(error(ErrorKind::Connection)),
            _ => ready("well"),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the models of a chain do: the call ends by its deadline, the caller's or the configured one, and exactly
    /// then if nothing came before. Tries and models do not multiply it.
    #[test]
    fn a_deadline_is_never_multiplied(
        troubles in prop::collection::vec((0..7_u8, 0..40_u64), 1..8),
        links in 1..5_usize,
        deadline in 1..300_u64,
        is_callers in any::<bool>(),
        is_streamed in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let clock = SystemClock::shared();
            let links: Vec<Link> = (0..links).map(|index| {
                let troubles = troubles.clone();
                let leaf = Scripted::new(move |number, _| {
                    let (trouble_now, seconds) = troubles[(number + index) % troubles.len()];
                    trouble(trouble_now, Duration::from_secs(seconds))
                });
                link(leaf, index + 1 < links, &clock)
            }).collect();
            let models = links.iter().map(|link| link.model.clone()).collect();
            let chain = Fallback::new("safe", models).unwrap().with_rule(MovesOn::Faults).shared();
            let limit = Duration::from_secs(deadline);
            let configured = (!is_callers).then_some(limit);
            let model = Deadline::of_requests(chain, configured, Arc::clone(&clock));
            let request = ChatRequest {
                deadline: is_callers.then_some(limit),
                delivery: if is_streamed { Delivery::Streamed } else { Delivery::Whole },
                ..ChatRequest::prompt("x")
            };
            let ended = match model.call(request).await {
                Ok(response) => response.whole().await,
                Err(error) => Err(error),
            };
            let took = clock.now().since_start();
            // timers ring to the millisecond
            prop_assert!(took <= limit + Duration::from_millis(1), "{took:?} of {limit:?}");
            if let Err(error) = ended && error.phase() == Some(antiphon_core::Phase::Total) && error.attempts() == 0 {
                prop_assert!(took >= limit);
            }
            Ok(())
        })?;
    }
}
