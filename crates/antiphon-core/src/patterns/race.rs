//! [`Race`]: several models at once, the first valid answer wins.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

use super::{
    NoModels,
    all_failed::all_failed,
    opening::{opened, told},
    part::part,
};
use crate::{
    BoxFuture, ChatRequest, ChatResponse, Clock, Error, ErrorKind, Limits, Makeup, Model,
    SharedModel,
    chat::{Decision, Gathered, Member},
    makeup::Shares,
};

/// A model over models: the same request goes to all of them, and the first valid answer wins. With a stagger the later
/// ones are asked only when the earlier ones take long: a hedged request (Dean and Barroso 2013, *The Tail at Scale*).
///
/// - What counts as valid is each model's own affair: its stack asks again for an answer that does not fit its schema.
/// - Losers are dropped, which cancels them. What they have used by then is unknown: they stand among
///   [`Head::gathered`](crate::Head::gathered) as `cancelled`, without usage. Those that had failed or answered already
///   are counted in [`Head::earlier`](crate::Head::earlier) and `attempts`.
/// - Of streams the first to bring a delta that carries something wins, and is handed on with it. What fails after that
///   fails the call.
/// - The members told are those of the race, unless the winner tells of members of its own.
/// - If all fail, the error lists each one's cause.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use antiphon_core::{SystemClock, SharedModel, patterns::Race};
/// # fn hedge(model: SharedModel) -> Race {
/// // the same model twice: the second call is made when the first takes more than two seconds
/// let race = Race::new("hedged", vec![model.clone(), model])
///     .unwrap()
///     .with_stagger(Duration::from_secs(2), SystemClock::shared());
/// # race }
/// assert!(Race::new("nobody", vec![]).is_err());
/// ```
#[derive(Debug)]
pub struct Race {
    name: String,
    models: Vec<SharedModel>,
    stagger: Option<(Duration, Arc<dyn Clock>)>,
}

type Finish = (usize, Result<ChatResponse, Error>);

impl Race {
    /// A race of these models under a name of its own.
    ///
    /// # Errors
    /// There is no model.
    pub fn new(name: impl Into<String>, models: Vec<SharedModel>) -> Result<Self, NoModels> {
        let name = name.into();
        if models.is_empty() {
            return Err(NoModels { name });
        }
        Ok(Self {
            name,
            models,
            stagger: None,
        })
    }

    /// Asks one model at first, and the next one each time that nobody has answered within `delay`, or as soon as one fails.
    #[must_use]
    pub fn with_stagger(mut self, delay: Duration, clock: Arc<dyn Clock>) -> Self {
        self.stagger = Some((delay, clock));
        self
    }

    async fn run(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let shares = Shares::of(&self.models);
        let mut under_way = FuturesUnordered::new();
        let mut failures: BTreeMap<usize, Error> = BTreeMap::new();
        let mut asked = 0;
        loop {
            let at_once = if self.stagger.is_some() {
                1
            } else {
                self.models.len()
            };
            let until = self.models.len().min(asked + at_once);
            while asked < until {
                under_way.push(self.enter(&request, &shares, asked));
                asked += 1;
            }
            match self.next_finish(&mut under_way, asked).await {
                // the stagger's delay is over
                None => {}
                Some((index, Ok(response))) => {
                    return Ok(self.won(index, response, &mut under_way, failures, asked));
                }
                Some((_, Err(error))) if error.kind() == ErrorKind::Ledger => return Err(error),
                Some((index, Err(error))) => {
                    failures.insert(index, error);
                    if asked == self.models.len() && under_way.is_empty() {
                        let failures = failures
                            .into_iter()
                            .map(|(index, error)| (self.models[index].name(), error));
                        return Err(all_failed("models of the race", failures.collect()));
                    }
                }
            }
        }
    }

    async fn enter(&self, request: &ChatRequest, shares: &Shares, index: usize) -> Finish {
        let request = part(request, shares, index);
        (index, opened(&self.models[index], request).await)
    }

    /// The next model to finish; `None` when it is time to ask another one.
    async fn next_finish<F: Future<Output = Finish>>(
        &self,
        under_way: &mut FuturesUnordered<F>,
        asked: usize,
    ) -> Option<Finish> {
        match &self.stagger {
            Some((delay, clock)) if asked < self.models.len() => {
                let alarm = clock.sleep_until(clock.now() + *delay);
                tokio::select! {
                    biased;
                    finish = under_way.next() => finish,
                    () = alarm => None,
                }
            }
            _ => under_way.next().await,
        }
    }

    fn won<F: Future<Output = Finish>>(
        &self,
        winner: usize,
        mut response: ChatResponse,
        under_way: &mut FuturesUnordered<F>,
        failures: BTreeMap<usize, Error>,
        asked: usize,
    ) -> ChatResponse {
        let mut members: Vec<Member> = (0..self.models.len())
            .map(|index| self.loser(index, asked))
            .collect();
        let own = told(&response);
        let mut too_late = failures;
        // what finished at the same moment was paid for, and is known
        while let Some(Some((index, finish))) = under_way.next().now_or_never() {
            match finish {
                Ok(late) => {
                    members[index] = told(&late);
                    let spent = late.spent_so_far();
                    let head = &mut response.head;
                    head.attempts = head.attempts.saturating_add(late.head.attempts);
                    head.earlier += spent;
                }
                Err(error) => drop(too_late.insert(index, error)),
            }
        }
        let head = &mut response.head;
        for (index, error) in too_late {
            members[index] = Member::failed(self.models[index].name(), &error);
            head.attempts = head.attempts.saturating_add(error.attempts());
            head.earlier += error.spent();
        }
        members[winner] = own;
        head.gathered.get_or_insert_with(|| {
            let decision = Decision {
                by: "race".to_owned(),
                from: vec![winner],
                ..Decision::default()
            };
            Box::new(Gathered {
                members,
                decision: Some(decision),
            })
        });
        response
    }

    fn loser(&self, index: usize, asked: usize) -> Member {
        let why = if index < asked {
            "another model answered first"
        } else {
            "not asked: another model answered before its turn"
        };
        Member::cancelled(self.models[index].name(), why)
    }
}

impl Model for Race {
    fn name(&self) -> &str {
        &self.name
    }

    /// A race needs a place at each of its models.
    fn limits(&self) -> Limits {
        let each = self.models.iter().map(|model| model.limits().concurrency);
        Limits {
            concurrency: each.flatten().min(),
        }
    }

    fn makeup(&self) -> Makeup {
        Makeup::of(&self.models)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.run(request))
    }
}
