//! [`Decider`], and the way from candidates to a verdict.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{
    bill::Bill,
    config::EnsembleConfig,
    decision::Task,
    form::Form,
    question::question,
    tries::Tries,
    verdict::{Candidate, Chosen, Decide, Verdict},
};
use crate::{
    ChatRequest, Error, ErrorKind, Fingerprint, Reply, SharedModel, Usage,
    chat::{Decision, Member},
    patterns::part::{record, recorded},
    schema::{OffSchema, Schema},
};

/// How the members' answers become one.
#[derive(Clone, Debug)]
pub enum Decider {
    /// One call selects one answer or merges several.
    Decide(SharedModel),
    /// One call selects one answer; candidates are shuffled, in the same way whenever they are the same.
    Judge {
        /// Who judges.
        model: SharedModel,
        /// Asked twice, the second time with the candidates in reverse order: a judge that then selects another answer
        /// goes by the place and not by the answer, and the decision says so.
        swapped: bool,
    },
    /// One call writes one answer out of all.
    Synthesize(SharedModel),
    /// No call: the members' answers are counted. [`Majority`](super::Majority) counts whole answers,
    /// [`VoteOnFields`](crate::patterns::vote::VoteOnFields) field by field. Once the outcome is certain the other members
    /// are cancelled; [`Decision::calls_saved`] tells how many.
    Vote(Arc<dyn Decide>),
}

/// A decider without its model, which may be another one at each call.
#[derive(Clone, Debug)]
pub(super) enum Way {
    Decide,
    Judge { swapped: bool },
    Synthesize,
    Vote(Arc<dyn Decide>),
}

impl Decider {
    pub(super) fn apart(self) -> (Way, Option<SharedModel>) {
        match self {
            Self::Decide(model) => (Way::Decide, Some(model)),
            Self::Judge { model, swapped } => (Way::Judge { swapped }, Some(model)),
            Self::Synthesize(model) => (Way::Synthesize, Some(model)),
            Self::Vote(vote) => (Way::Vote(vote), None),
        }
    }
}

impl Way {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Judge { .. } => "judge",
            Self::Synthesize => "synthesize",
            Self::Vote(_) => "vote",
        }
    }

    /// Whether answers of this schema can be decided about: a vote knows them, a decision has room for them.
    pub(super) fn check(&self, schema: Option<&Schema>) -> Result<(), Error> {
        match self {
            Self::Vote(vote) => vote.check(schema),
            Self::Decide => Task::Decide.schema(schema, 1).map(drop),
            _ => Ok(()),
        }
    }

    /// Whether the members in `open` need not be waited for.
    pub(super) fn is_settled(
        &self,
        done: &[&Candidate],
        open: &[usize],
        schema: Option<&Schema>,
    ) -> bool {
        let Self::Vote(vote) = self else { return false };
        let done: Vec<Candidate> = done.iter().copied().cloned().collect();
        vote.is_settled(&done, open, schema)
    }

    /// What the model is to do; calls of tools can be selected but not merged.
    fn task(&self, candidates: &[Candidate]) -> Task {
        let calls_tools = candidates.iter().any(|one| !one.tool_calls.is_empty());
        match self {
            Self::Judge { .. } => Task::Select,
            _ if calls_tools => Task::Select,
            Self::Synthesize => Task::Synthesize,
            _ => Task::Decide,
        }
    }
}

/// A decision to be made.
#[derive(Debug)]
pub(super) struct Deciding<'a> {
    pub(super) way: &'a Way,
    /// `None` for a vote.
    pub(super) model: Option<&'a SharedModel>,
    pub(super) form: &'a Form,
    pub(super) request: &'a ChatRequest,
    pub(super) config: &'a EnsembleConfig,
    pub(super) tries: Tries<'a>,
    /// At least one, in the order of their members.
    pub(super) candidates: &'a [Candidate],
    /// Members that were not waited for, because the outcome of the vote was certain.
    pub(super) calls_saved: u32,
}

/// A decision that was made, for better or worse.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) chosen: Chosen,
    pub(super) decision: Decision,
    pub(super) bill: Bill,
}

/// One judgement of a model.
struct Judgement {
    verdict: Result<Verdict, Error>,
    member: Member,
    /// The members in the order in which they were shown.
    shown: Vec<usize>,
    bill: Bill,
}

impl Deciding<'_> {
    /// # Errors
    /// Only what ends the whole call: the run stops, or an answer cannot be recorded. Any other failure is told in the
    /// decision.
    pub(super) async fn decide(&self) -> Result<Decided, Error> {
        if let [sole] = self.candidates
            && self.calls_saved == 0
        {
            return Ok(Decided {
                chosen: Chosen::Member(sole.member),
                decision: Decision {
                    by: "sole".to_owned(),
                    from: vec![sole.member],
                    ..Decision::default()
                },
                bill: Bill::default(),
            });
        }
        if let Way::Vote(vote) = self.way {
            let verdict = vote.decide(self.candidates, self.form.schema.as_ref());
            let verdict = verdict.and_then(|verdict| self.check(verdict));
            return Ok(self.settle(verdict, None, None, Bill::default()));
        }
        let Some(model) = self.model else {
            let error = Error::new(ErrorKind::ModelNotFound, "there is no decision maker");
            return Ok(self.settle(Err(error), None, None, Bill::default()));
        };
        let asks = self
            .orders()
            .into_iter()
            .map(|order| self.ask(model, order));
        Ok(self.unite(try_join_all(asks).await?))
    }

    /// The orders in which candidates are shown, each in a call of its own.
    fn orders(&self) -> Vec<Vec<&Candidate>> {
        let mut order: Vec<&Candidate> = self.candidates.iter().collect();
        let Way::Judge { swapped } = self.way else {
            return vec![order];
        };
        // by the candidates themselves: a decision that an earlier run recorded is found again
        let texts: Vec<&str> = order.iter().map(|one| one.text.as_str()).collect();
        let print = Fingerprint::of_bytes("candidates", texts.join("\0").as_bytes());
        let seed = print
            .as_bytes()
            .iter()
            .fold(0, |seed: u64, byte| seed.rotate_left(8) ^ u64::from(*byte));
        fastrand::Rng::with_seed(seed).shuffle(&mut order);
        let mut orders = vec![order];
        if *swapped {
            let reversed = orders[0].iter().rev().copied().collect();
            orders.push(reversed);
        }
        orders
    }

    async fn ask(&self, model: &SharedModel, shown: Vec<&Candidate>) -> Result<Judgement, Error> {
        let task = self.way.task(self.candidates);
        let schema = task.schema(self.form.schema.as_ref(), shown.len())?;
        let config = self.config;
        let prompt = config.decision_maker_prompt.as_deref();
        let temperature = config.decision_maker_temperature;
        let mut asked = question(self.request, task, schema, &shown, prompt, temperature);
        // a decision about other candidates, or by another model, is another part of the call
        let print = Fingerprint::of(&[model.name()], &asked).to_string();
        let journal = self.request.journal.as_ref();
        asked.journal = journal.map(|journal| journal.part("decide").part(&print));
        let read = |reply: &Reply| {
            let verdict = task.read(reply, asked.schema.as_ref(), &shown)?;
            self.check(verdict)
        };
        let members = shown.iter().map(|candidate| candidate.member).collect();
        let judgement = |verdict, member, bill| Judgement {
            verdict,
            member,
            shown: members,
            bill,
        };
        let mut bill = Bill::default();

        if let Some(reply) = recorded(&asked)
            && let Ok(verdict) = read(&reply)
        {
            bill.on(&reply);
            return Ok(judgement(Ok(verdict), said(&reply), bill));
        }
        let mut reply = match self.tries.ask(model, asked.clone()).await {
            Ok(reply) => reply,
            Err(error) if self.ends_the_call(&error) => return Err(error),
            Err(error) => {
                bill.on_failure(&error);
                let member = Member::failed(model.name(), &error);
                return Ok(judgement(Err(error), member, bill));
            }
        };
        let verdict = read(&reply);
        if verdict.is_ok() {
            record(asked.journal.as_ref(), &mut reply).await?;
        }
        let mut member = said(&reply);
        member.error = verdict.as_ref().err().map(Into::into);
        bill.on(&reply);
        Ok(judgement(verdict, member, bill))
    }

    /// A run that stops shall not end its rows with half a decision: the members' answers are recorded, and the next
    /// run decides. Without a journal they would be lost, so only being stopped is final there.
    fn ends_the_call(&self, error: &Error) -> bool {
        let recorded = self.request.journal.is_some();
        error.kind().is_given_up() || (recorded && error.stops_the_run())
    }

    /// A verdict that can be followed: it names a candidate, or an answer in the user's own form.
    fn check(&self, mut verdict: Verdict) -> Result<Verdict, Error> {
        let off = |fault: String| Error::from(OffSchema(fault));
        match (&mut verdict.chosen, &self.form.schema) {
            (Chosen::Member(member), _) => {
                if !self.candidates.iter().any(|one| one.member == *member) {
                    return Err(off(format!("member {member} is no candidate")));
                }
            }
            (Chosen::Made(answer), Some(schema)) => {
                *answer = schema.accept(&answer.to_string())?;
            }
            (Chosen::Made(answer), None) if answer.is_string() => {}
            (Chosen::Made(_), None) => return Err(off("it is not a text".to_owned())),
        }
        Ok(verdict)
    }

    fn unite(&self, judgements: Vec<Judgement>) -> Decided {
        let mut judgements = judgements.into_iter();
        let Some(first) = judgements.next() else {
            let error = Error::new(ErrorKind::BadResponse, "nobody was asked to decide");
            return self.settle(Err(error), None, None, Bill::default());
        };
        let Some(second) = judgements.next() else {
            return self.settle(first.verdict, None, Some(first.member), first.bill);
        };
        let bill = first.bill.beside(second.bill);
        let member = both(first.member, second.member);
        let (verdict, doubt) = match (first.verdict, second.verdict) {
            (Ok(one), Ok(other)) if one.chosen == other.chosen => (Ok(one), None),
            (Ok(one), Ok(other)) => {
                let bias = format!(
                    "position bias: in the order {:?} the judge selected member {:?}, in the order {:?} member {:?}; the earlier of the two was taken",
                    first.shown, one.from, second.shown, other.from
                );
                let earlier = if one.from <= other.from { one } else { other };
                (Ok(earlier), Some(bias))
            }
            (Ok(one), Err(error)) | (Err(error), Ok(one)) => {
                let doubt = format!(
                    "only one of the two judgings came out; the other: {}: {error}",
                    error.kind()
                );
                (Ok(one), Some(doubt))
            }
            (Err(error), Err(_)) => (Err(error), None),
        };
        self.settle(verdict, doubt, Some(member), bill)
    }

    /// The decision. Where it failed, the first candidate is taken, and the decision says so and why.
    fn settle(
        &self,
        verdict: Result<Verdict, Error>,
        doubt: Option<String>,
        decider: Option<Member>,
        bill: Bill,
    ) -> Decided {
        match verdict {
            Ok(verdict) => Decided {
                chosen: verdict.chosen,
                decision: Decision {
                    by: self.way.name().to_owned(),
                    from: verdict.from,
                    reason: verdict.reason,
                    failure: doubt,
                    decider,
                    calls_saved: self.calls_saved,
                },
                bill,
            },
            Err(error) => {
                let first = self.candidates.first().map_or(0, |one| one.member);
                let failure = format!(
                    "the decision ({}) failed: {}: {error}; the answer of member {first} was taken, the first that had one",
                    self.way.name(),
                    error.kind()
                );
                Decided {
                    chosen: Chosen::Member(first),
                    decision: Decision {
                        by: "first".to_owned(),
                        from: vec![first],
                        reason: None,
                        failure: Some(failure),
                        decider,
                        calls_saved: self.calls_saved,
                    },
                    bill,
                }
            }
        }
    }
}

fn said(reply: &Reply) -> Member {
    let text = reply.answer.text.clone();
    Member::answered(&reply.head.model, Some(text), reply.spent())
}

/// Two calls of the same judge as one.
fn both(one: Member, other: Member) -> Member {
    let texts: Vec<String> = one.text.into_iter().chain(other.text).collect();
    Member {
        model: one.model,
        text: (!texts.is_empty()).then(|| texts.join("\n")),
        usage: Usage::sum([one.usage, other.usage]),
        cost_usd: one
            .cost_usd
            .zip(other.cost_usd)
            .map(|(one, other)| one + other),
        error: one.error.or(other.error),
    }
}
