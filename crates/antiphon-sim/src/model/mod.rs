//! The simulated provider in this process: a [`Model`] that meets the same fates as the wire.

mod stream;

use std::{fmt, sync::Arc, time::Duration};

use antiphon_core::{
    Answer, Body, BoxFuture, ChatRequest, ChatResponse, Clock, Error, ErrorKind, FinishReason,
    Head, Model, chat::ToolCall,
};
use bytes::Bytes;

use crate::{
    FaultKind, Outage, SimConfig, SimLedger, Simulator,
    answer::{Choice, Finish, Reply, UsageForm},
    ask::Ask,
    body::BYTE_BY_BYTE,
    rejection::Rejection,
    simulator::{Attempt, Outcome},
    wire::{self, headers::told_limits},
};
use stream::streamed;

/// A model of the simulated provider, named `sim/…`.
///
/// Faults are what a client would make of them: statuses become classified errors, a broken body becomes
/// [`ErrorKind::BadResponse`], `hang` and `stall` never end. Kinds that only change how bytes look (`crlf`, `split`)
/// change nothing here.
pub struct SimModel {
    name: String,
    simulator: Simulator,
}

impl SimModel {
    /// A model of a provider of its own; `sim/` is put before a name without it.
    pub fn new(name: &str, config: SimConfig, clock: Arc<dyn Clock>) -> Self {
        Self::of(Simulator::new(config, clock), name)
    }

    pub(crate) fn of(simulator: Simulator, name: &str) -> Self {
        let bare = name.strip_prefix("sim/").unwrap_or(name);
        Self {
            name: format!("sim/{bare}"),
            simulator,
        }
    }

    /// The provider that the model belongs to.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The provider's books.
    pub fn ledger(&self) -> Arc<SimLedger> {
        self.simulator.ledger()
    }

    async fn answer(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let simulator = &self.simulator;
        let state = simulator.state();
        if let Some(outage) = state.outage {
            simulator.ledger().met_outage();
            return Err(match outage {
                Outage::Close => closed("the connection was closed"),
                Outage::Unavailable => self.error(Rejection::injected(503)),
            });
        }
        // in this process there is no wire for words that only one wire has
        if let Some(why) = request.only_verbatim() {
            return Err(Error::new(ErrorKind::BadRequest, why).not_sent());
        }
        let bare = self.name.strip_prefix("sim/").unwrap_or(&self.name);
        let ask = Ask::of_request(bare, &request).map_err(|rejection| {
            simulator.ledger().rejected();
            self.error(rejection)
        })?;
        let attempt = simulator.judge(&ask, "", &state);
        let latency = attempt.latency;
        match attempt.outcome {
            Outcome::Rejected(rejection) => {
                simulator.wait(latency).await;
                attempt.flight.finish();
                Err(self.error(rejection))
            }
            Outcome::Silence => {
                if attempt.fault == Some(FaultKind::Hang) {
                    std::future::pending::<()>().await;
                }
                simulator.wait(latency).await;
                attempt.flight.finish();
                Err(closed("the connection was reset"))
            }
            Outcome::Reply(ref reply) => {
                let head = Head {
                    model: self.name.clone(),
                    status: 200,
                    request_id: Some(simulator.request_id()),
                    limits: told_limits(attempt.limits, attempt.fault),
                    attempts: 1,
                    wire: Some("openai".into()),
                    ..Head::default()
                };
                let reply = reply.clone();
                let body = match ask.stream {
                    true => Body::Stream(streamed(simulator.clone(), attempt, &reply)),
                    false => Body::Whole(Box::pin(whole(simulator.clone(), attempt, reply))),
                };
                Ok(ChatResponse { head, body })
            }
        }
    }

    fn error(&self, rejection: Rejection) -> Error {
        rejection.into_error(self.simulator.clock().wall(), self.simulator.request_id())
    }
}

impl fmt::Debug for SimModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimModel")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Model for SimModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.answer(request))
    }
}

fn closed(why: &str) -> Error {
    Error::new(ErrorKind::Connection, why).with_attempts(1)
}

/// What a client makes of an answer that is broken in this way; `None` where it can read it.
fn unreadable(fault: Option<FaultKind>) -> Option<Error> {
    let (kind, why) = match fault? {
        FaultKind::Truncate | FaultKind::EarlyEnd => {
            (ErrorKind::BadResponse, "the answer was cut short")
        }
        FaultKind::Garbage | FaultKind::Html | FaultKind::WrongType => {
            (ErrorKind::BadResponse, "the answer is not JSON")
        }
        FaultKind::Empty => (ErrorKind::BadResponse, "the answer is empty"),
        FaultKind::Huge => (ErrorKind::BadResponse, "the answer is too large"),
        FaultKind::Headers => (ErrorKind::BadResponse, "the answer has too many headers"),
        FaultKind::ErrorEvent => (
            ErrorKind::ServerError,
            "the provider failed in the middle of its answer",
        ),
        _ => return None,
    };
    Some(Error::new(kind, why).with_status(200).with_attempts(1))
}

async fn whole(simulator: Simulator, attempt: Attempt, reply: Reply) -> Result<Answer, Error> {
    simulator.wait(attempt.latency).await;
    let body = Bytes::from(wire::openai::whole(&reply).to_string());
    match attempt.fault {
        Some(FaultKind::Stall) => std::future::pending::<()>().await,
        Some(FaultKind::Drip) => {
            simulator
                .wait(BYTE_BY_BYTE.saturating_mul(body.len() as u32))
                .await
        }
        _ => {}
    }
    // a whole answer has no end that could come early
    let fault = attempt.fault.filter(|kind| *kind != FaultKind::EarlyEnd);
    attempt.flight.finish();
    match unreadable(fault) {
        Some(error) => Err(error),
        None => Ok(answer(&reply, body)),
    }
}

fn answer(reply: &Reply, body: Bytes) -> Answer {
    let silent = Choice::default();
    let choice = reply.choices.first().unwrap_or(&silent);
    let calls = choice.calls.iter().map(|call| ToolCall {
        id: call.id.clone(),
        name: call.name.clone(),
        arguments: call.arguments.clone(),
    });
    Answer {
        text: choice.text.clone(),
        finish_reason: finish_reason(&choice.finish),
        reasoning: (!choice.reasoning.is_empty()).then(|| choice.reasoning.clone()),
        refusal: choice.refusal.clone(),
        tool_calls: calls.collect(),
        model: Some(reply.model.clone()),
        spent: antiphon_core::Spent::answer(told_usage(reply)),
        body,
        latency: Duration::ZERO,
    }
}

fn told_usage(reply: &Reply) -> Option<antiphon_core::Usage> {
    matches!(reply.usage_form, UsageForm::Full | UsageForm::NoDetails).then_some(reply.usage)
}

fn finish_reason(finish: &Finish) -> FinishReason {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Refusal => FinishReason::Stop,
        Finish::Length => FinishReason::Length,
        Finish::ToolCalls => FinishReason::ToolCalls,
        Finish::ContentFilter => FinishReason::ContentFilter,
    }
}
