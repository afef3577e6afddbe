//! One call of an [`Ensemble`]: the members' answers, the decision, the response.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    Candidate, Chosen, Ensemble, EnsembleConfig, EnsembleError, Members,
    deciding::{Decided, Deciding, Way},
    form::Form,
    gather::{Enough, Settled, failures, gather, listed, seats},
    lock,
    log::Log,
    seated,
    tries::Tries,
};
use crate::{
    Answer, ChatRequest, ChatResponse, Error, FinishReason, SharedModel,
    chat::{Gathered, completion},
    patterns::all_failed::all_failed,
};

impl Ensemble {
    pub(super) fn look_up(&self, name: &str) -> Result<SharedModel, Error> {
        match &self.directory {
            Some(directory) => directory.model(name),
            None => Err(EnsembleError::NoDirectory(name.to_owned()).into()),
        }
    }

    pub(super) fn models(&self, config: &EnsembleConfig) -> Result<Vec<SharedModel>, Error> {
        let number = config.num_processors;
        match &self.members {
            Members::Given(models) => Ok(seated(models, number).cloned().collect()),
            Members::Named(Some(name)) => Ok(vec![self.look_up(name)?; number]),
            Members::Named(None) => Err(EnsembleError::NoMemberModel.into()),
        }
    }

    fn maker(&self, config: &EnsembleConfig) -> Result<Option<SharedModel>, Error> {
        let name = &config.decision_maker_model;
        match (&self.way, &self.maker) {
            (Way::Vote(_), _) => Ok(None),
            (_, Some(maker)) if maker.name() == name => Ok(Some(Arc::clone(maker))),
            _ => self.look_up(name).map(Some),
        }
    }

    pub(super) async fn answer(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let config = self.config();
        let models = self.models(&config)?;
        self.told(&config, models, request).await
    }

    /// The call, with its end counted and told.
    pub(super) async fn told(
        &self,
        config: &EnsembleConfig,
        models: Vec<SharedModel>,
        request: ChatRequest,
    ) -> Result<ChatResponse, Error> {
        let log = Log::new(&self.name, config);
        let answer = self.decided(config, &models, request, log).await;
        if let Err(error) = &answer {
            log.failed(error);
            lock(&self.counters).failed(error);
        }
        answer
    }

    async fn decided(
        &self,
        config: &EnsembleConfig,
        models: &[SharedModel],
        request: ChatRequest,
        log: Log<'_>,
    ) -> Result<ChatResponse, Error> {
        // whatever is wrong with schema or names is told before anything is paid
        let form = Form::new(request.schema.as_ref(), config.pass_reasoning)?;
        self.way.check(form.schema.as_ref())?;
        let maker = self.maker(config)?;
        let seats = seats(models, &request, form.asked());
        let tries = Tries {
            timeout: config.timeout,
            max_retries: config.max_retries,
            clock: &self.clock,
            dice: &self.dice,
        };
        let quorum = self.quorum.map_or(usize::MAX, NonZeroUsize::get);
        let enough = Enough {
            answers: quorum.min(seats.len()),
            deadline: self.deadline,
            certain: &|done, open| self.way.is_settled(done, open, form.schema.as_ref()),
        };
        let said = gather(&seats, enough, tries, |member, reply| {
            form.read(member, reply)
        })
        .await?;
        let members = listed(&seats, &said.settled, |_, one: &Candidate| one.text.clone());
        log.members(&members);
        lock(&self.counters).members(&members);
        let candidates = candidates(&said.settled);
        if candidates.is_empty() {
            return Err(all_failed("members", failures(&seats, said.settled)));
        }
        let deciding = Deciding {
            way: &self.way,
            model: maker.as_ref(),
            form: &form,
            request: &request,
            config,
            tries,
            candidates: &candidates,
            calls_saved: said.calls_saved(),
        };
        let Decided {
            chosen,
            decision,
            bill,
        } = match deciding.decide().await {
            Ok(decided) => decided,
            Err(error) => {
                let mut bill = said.bill;
                bill.on_failure(&error);
                return Err(bill.charge(error));
            }
        };
        let bill = said.bill.then(bill);
        log.decision(&decision);
        lock(&self.counters).decided(&decision, bill.spent);
        let mut answer = self.text_of(chosen, &candidates);
        answer.body = completion(&self.name, &[(0, &answer)], bill.told(), self.clock.wall());
        let gathered = Gathered {
            members,
            decision: Some(decision),
        };
        Ok(bill.respond(&self.name, answer, gathered))
    }

    fn text_of(&self, chosen: Chosen, candidates: &[Candidate]) -> Answer {
        let mut answer = Answer {
            text: String::new(),
            finish_reason: FinishReason::Stop,
            reasoning: None,
            refusal: None,
            tool_calls: Vec::new(),
            model: Some(self.name.clone()),
            spent: Default::default(),
            body: bytes::Bytes::new(),
            latency: Duration::ZERO,
        };
        match chosen {
            Chosen::Made(Value::String(text)) => answer.text = text,
            Chosen::Made(value) => answer.text = value.to_string(),
            Chosen::Member(member) => {
                if let Some(one) = candidates.iter().find(|one| one.member == member) {
                    answer.text.clone_from(&one.text);
                    answer.finish_reason = one.finish_reason.clone();
                    answer.tool_calls.clone_from(&one.tool_calls);
                }
            }
        }
        answer
    }
}

fn candidates(settled: &[Settled<Candidate>]) -> Vec<Candidate> {
    let answered = settled.iter().filter_map(|call| match call {
        Settled::Answered(_, candidate) => Some(candidate.clone()),
        _ => None,
    });
    answered.collect()
}
