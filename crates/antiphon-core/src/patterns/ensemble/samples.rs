//! [`Samples`]: several answers of one model, side by side.

use std::sync::Arc;

use super::{
    config::{EnsembleError, MOST_MEMBERS},
    gather::{Enough, Settled, failures, gather, listed, seats},
    tries::Tries,
};
use crate::{
    Answer, BoxFuture, ChatRequest, ChatResponse, Clock, Dice, Error, Limits, Makeup, Model,
    SharedModel, SystemClock,
    chat::{Gathered, completion},
    patterns::all_failed::all_failed,
};

/// N samples of one model, asked at once, without a decision between them.
///
/// The answer's body is an OpenAI chat completion with a choice for each sample that came out, at its index, in whatever
/// form they came; the answer's text, tool calls and finish reason are those of the first. All samples are in
/// [`Head::gathered`](crate::Head::gathered), tokens are summed. A journal keeps each sample, as for an
/// [`Ensemble`](super::Ensemble)'s members. Limits and retries are the model's own.
#[derive(Debug)]
pub struct Samples {
    model: SharedModel,
    number: usize,
    clock: Arc<dyn Clock>,
    dice: Dice,
}

impl Samples {
    /// So many samples of a model.
    ///
    /// # Errors
    /// [`EnsembleError::NumProcessors`]: none, or more than 100.
    pub fn new(model: SharedModel, number: usize) -> Result<Self, EnsembleError> {
        if number == 0 || number > MOST_MEMBERS {
            return Err(EnsembleError::NumProcessors(number));
        }
        Ok(Self {
            model,
            number,
            clock: SystemClock::shared(),
            dice: Dice::new(),
        })
    }

    /// With another clock, which dates the bodies.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn answer(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let models = vec![Arc::clone(&self.model); self.number];
        let seats = seats(&models, &request, request.schema.as_ref());
        let enough = Enough {
            answers: self.number,
            deadline: None,
            certain: &|_, _| false,
        };
        let tries = Tries {
            timeout: None,
            max_retries: 0,
            clock: &self.clock,
            dice: &self.dice,
        };
        let said = gather(&seats, enough, tries, |_, _| Ok(())).await?;
        let members = listed(&seats, &said.settled, |reply, ()| reply.answer.text.clone());
        let answers = said.settled.iter().enumerate();
        let answers: Vec<(usize, &Answer)> = answers
            .filter_map(|(index, call)| match call {
                Settled::Answered(reply, ()) => Some((index, &reply.answer)),
                _ => None,
            })
            .collect();
        let Some((_, first)) = answers.first() else {
            return Err(all_failed("samples", failures(&seats, said.settled)));
        };
        let body = completion(self.name(), &answers, said.bill.told(), self.clock.wall());
        let answer = Answer {
            body,
            ..Answer::clone(first)
        };
        let gathered = Gathered {
            members,
            decision: None,
        };
        Ok(said.bill.respond(self.model.name(), answer, gathered))
    }
}

impl Model for Samples {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn limits(&self) -> Limits {
        self.model.limits()
    }

    fn makeup(&self) -> Makeup {
        Makeup::of(&vec![Arc::clone(&self.model); self.number])
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.answer(request))
    }
}
