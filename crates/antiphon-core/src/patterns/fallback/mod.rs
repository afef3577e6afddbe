//! [`Fallback`]: a chain of models, each tried when the ones before it have failed.

mod asks;
mod bill;
mod comparison;
mod parts;
mod rescue;
mod rule;
mod watched;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;

use self::{asks::Asks, rescue::collected, watched::watched};
pub use self::{
    rescue::{Rescue, RescueMode},
    rule::MovesOn,
};
use super::{
    NoModels,
    all_failed::{all_failed, last_failed},
    opening::{opened, told},
    part::part,
};
use crate::{
    Answer, Body, BoxFuture, ChatRequest, ChatResponse, Clock, Error, FinishReason, Head, Limits,
    Makeup, Model, Schema, SharedModel, Spent, Usage,
    chat::{COMPLETION_WIRE, Decision, Gathered, Member, completion},
    layers::deadline::Deadline,
    makeup::Shares,
};

/// A model over models: a chain, tried in order.
///
/// - The chain moves on after an error that another model may not make: timeouts, limits, failed servers, a wrong key, a
///   model that is not there, an answer that did not fit its schema however often it was asked for. Errors that lie in the
///   request ([`Advice::Never`](crate::Advice::Never): malformed, refused, cut off) go back at once, and nothing more is paid. A gateway's chains
///   have a rule of their own ([`MovesOn::Faults`]).
/// - A call that is over its time limit is dropped, which cancels it, and the next model is asked.
/// - A stream may still move on before its first delta that carries something. After it, its errors are the call's, unless
///   another link goes on with the answer: see [`Self::with_rescue_mode`].
/// - If all fail, the rescue text is the answer, where there is one; else the error lists each link's cause. It stops a
///   run only if every link's error does.
///
/// [`Head::model`] names the model that really answered. After a failure [`Head::gathered`] tells of each link that was
/// asked (unless the answering model tells of members of its own), `attempts` counts theirs too, and what failed links
/// were billed is in [`Head::earlier`].
///
/// ```
/// # use std::time::Duration;
/// # use antiphon_core::{SystemClock, SharedModel, patterns::Fallback};
/// # fn chain(fast: SharedModel, local: SharedModel) -> Fallback {
/// let safe = Fallback::new("safe", vec![fast, local])
///     .unwrap()
///     .with_time_limit(Duration::from_secs(20), SystemClock::shared())
///     .with_rescue("Sorry, please try again later.");
/// # safe }
/// assert!(Fallback::new("nobody", vec![]).is_err());
/// ```
#[derive(Debug)]
pub struct Fallback {
    name: String,
    links: Vec<SharedModel>,
    rescue: Option<String>,
    moves_on: MovesOn,
    rescue_mode: RescueMode,
}

impl Fallback {
    /// A chain of these models under a name of its own.
    ///
    /// # Errors
    /// There is no model.
    pub fn new(name: impl Into<String>, links: Vec<SharedModel>) -> Result<Self, NoModels> {
        let name = name.into();
        if links.is_empty() {
            return Err(NoModels { name });
        }
        Ok(Self {
            name,
            links,
            rescue: None,
            moves_on: MovesOn::default(),
            rescue_mode: RescueMode::Off,
        })
    }

    /// With a limit for each link's whole call. For a link with a limit of its own put a [`Deadline`] around that model.
    #[must_use]
    pub fn with_time_limit(mut self, limit: Duration, clock: Arc<dyn Clock>) -> Self {
        self.links = self
            .links
            .into_iter()
            .map(|link| -> SharedModel { Arc::new(Deadline::new(link, limit, Arc::clone(&clock))) })
            .collect();
        self
    }

    /// With a text that is the answer when every model has failed. A request with a schema gets it only if it fits.
    #[must_use]
    pub fn with_rescue(mut self, text: impl Into<String>) -> Self {
        self.rescue = Some(text.into());
        self
    }

    /// With a rule for the errors after which the next model is asked.
    #[must_use]
    pub fn with_rule(mut self, moves_on: MovesOn) -> Self {
        self.moves_on = moves_on;
        self
    }

    /// With an answer for streams that break after their first delta: the next links are asked to go on. See [`Rescue`].
    #[must_use]
    pub fn with_rescue_mode(mut self, mode: RescueMode) -> Self {
        self.rescue_mode = mode;
        self
    }

    async fn run(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let mut failures: Vec<Error> = Vec::new();
        let shares = Shares::of(&self.links);
        let rescue = self.rescue_mode.for_request(&request);
        for (index, link) in self.links.iter().enumerate() {
            let share = part(&request, &shares, index);
            let begun = match rescue {
                RescueMode::Buffer => collected(link, share).await,
                RescueMode::Off | RescueMode::Verify => opened(link, share).await,
            };
            match begun {
                Ok(mut response) => {
                    if rescue == RescueMode::Verify {
                        let asks = Asks::of_chain(&self.links, index, request);
                        response = watched(response, asks);
                    }
                    return Ok(self.answered(response, failures));
                }
                Err(error) if self.moves_on.after(&error) => failures.push(error),
                Err(error) => return Err(with_earlier(error, &failures)),
            }
        }
        let reason = match &self.rescue {
            Some(text) => match fits(text, request.schema.as_ref()) {
                Ok(()) => return Ok(self.rescued(text, failures)),
                Err(fault) => {
                    format!("links of the chain (its rescue does not fit the schema: {fault})")
                }
            },
            None => "links of the chain".to_owned(),
        };
        let names = self.links.iter().map(|link| link.name());
        let failures = names.zip(failures).collect();
        Err(match self.moves_on {
            MovesOn::Elsewhere => all_failed(&reason, failures),
            MovesOn::Faults => last_failed(&reason, failures),
        })
    }

    fn answered(&self, mut response: ChatResponse, failures: Vec<Error>) -> ChatResponse {
        if failures.is_empty() {
            return response;
        }
        let last = told(&response);
        let head = &mut response.head;
        if head.gathered.is_none() {
            let mut members = self.failed(&failures);
            members.push(last);
            head.gathered = Some(gathered(members, "fallback", vec![failures.len()], None));
        }
        head.earlier += used(&failures);
        head.attempts = attempts(head.attempts, &failures);
        response.body = match response.body {
            Body::Stream(deltas) => {
                let deltas =
                    deltas.map(move |delta| delta.map_err(|error| with_earlier(error, &failures)));
                Body::Stream(Box::pin(deltas))
            }
            other => other,
        };
        response
    }

    fn rescued(&self, text: &str, failures: Vec<Error>) -> ChatResponse {
        let causes: Vec<_> = self
            .links
            .iter()
            .map(|link| link.name())
            .zip(failures.clone())
            .collect();
        let failure = all_failed("links of the chain", causes);
        let usage = Usage::default();
        let mut answer = Answer {
            text: text.to_owned(),
            finish_reason: FinishReason::Stop,
            reasoning: None,
            refusal: None,
            tool_calls: Vec::new(),
            model: Some(self.name.clone()),
            spent: Spent::default(),
            body: bytes::Bytes::new(),
            latency: Duration::ZERO,
        };
        // it was made at no time
        let made = SystemTime::UNIX_EPOCH;
        answer.body = completion(&self.name, &[(0, &answer)], Some(usage), made);
        let head = Head {
            model: self.name.clone(),
            status: 200,
            attempts: attempts(0, &failures),
            earlier: used(&failures),
            wire: Some(COMPLETION_WIRE.into()),
            gathered: Some(gathered(
                self.failed(&failures),
                "rescue",
                Vec::new(),
                Some(failure.message().to_owned()),
            )),
            ..Head::default()
        };
        ChatResponse {
            head,
            body: Body::Ready(answer),
        }
    }

    fn failed(&self, failures: &[Error]) -> Vec<Member> {
        let failed = self.links.iter().zip(failures);
        failed
            .map(|(link, error)| Member::failed(link.name(), error))
            .collect()
    }
}

/// Whether another model may do better.
fn moves_on(error: &Error) -> bool {
    MovesOn::Elsewhere.after(error)
}

/// An error that ends the chain, with what the links before it have cost.
fn with_earlier(error: Error, failures: &[Error]) -> Error {
    if failures.is_empty() {
        return error;
    }
    let total = attempts(error.attempts(), failures);
    let spent = used(failures) + error.spent();
    error.with_attempts(total).with_spent(spent)
}

fn used(failures: &[Error]) -> Spent {
    Spent::sum(failures.iter().map(Error::spent))
}

fn attempts(last: u32, failures: &[Error]) -> u32 {
    failures
        .iter()
        .fold(last, |all, error| all.saturating_add(error.attempts()))
}

fn fits(text: &str, schema: Option<&Schema>) -> Result<(), String> {
    let Some(schema) = schema else { return Ok(()) };
    schema.accept(text).map(drop).map_err(|off| off.0)
}

fn gathered(
    members: Vec<Member>,
    by: &str,
    from: Vec<usize>,
    failure: Option<String>,
) -> Box<Gathered> {
    Box::new(Gathered {
        members,
        decision: Some(Decision {
            by: by.to_owned(),
            from,
            failure,
            ..Decision::default()
        }),
    })
}

impl Model for Fallback {
    fn name(&self) -> &str {
        &self.name
    }

    /// Those of the first link, which is the one that is usually asked.
    fn limits(&self) -> Limits {
        self.links
            .first()
            .map(|link| link.limits())
            .unwrap_or_default()
    }

    fn makeup(&self) -> Makeup {
        Makeup::of(&self.links)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.run(request))
    }
}
