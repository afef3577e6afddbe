//! The members' answers: side by side, until all have come or enough of them have.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{bill::Bill, tries::Tries};
use crate::{
    ChatRequest, Error, ErrorKind, Reply, SharedModel,
    chat::{Delivery, Member},
    makeup::Shares,
    patterns::part::{self, paid, part, record},
    schema::Schema,
};

/// A member and what it is asked.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) model: SharedModel,
    pub(super) request: ChatRequest,
}

/// Seats for these models, each with a [`part`] of the request.
pub(super) fn seats(
    models: &[SharedModel],
    request: &ChatRequest,
    schema: Option<&Schema>,
) -> Vec<Seat> {
    let shares = Shares::of(models);
    let seat = |(index, model): (usize, &SharedModel)| Seat {
        request: ChatRequest {
            schema: schema.cloned(),
            delivery: Delivery::Whole,
            is_unjudged: false,
            ..part(request, &shares, index)
        },
        model: Arc::clone(model),
    };
    models.iter().enumerate().map(seat).collect()
}

/// How a member's call ended.
#[derive(Debug)]
pub(super) enum Settled<T> {
    Answered(Box<Reply>, T),
    Failed(Error),
    /// Its answer was no longer needed, for this reason.
    Cancelled(String),
}

/// When the members have said enough; those that have not ended by then are cancelled.
pub(super) struct Enough<'a, T> {
    /// So many answers are enough.
    pub(super) answers: usize,
    /// After this time one answer is.
    pub(super) deadline: Option<Duration>,
    /// Whether these answers are, whatever the members with the given numbers still say.
    pub(super) certain: &'a (dyn Fn(&[&T], &[usize]) -> bool + Sync),
}

/// Why some members are not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Answers(usize),
    Certain,
    Late(Duration),
}

impl<T> Enough<'_, T> {
    fn end(&self, settled: &[Option<Settled<T>>], late: bool) -> Option<End> {
        let answers: Vec<&T> = settled
            .iter()
            .filter_map(|call| match call {
                Some(Settled::Answered(_, taken)) => Some(taken),
                _ => None,
            })
            .collect();
        if answers.len() >= self.answers {
            return Some(End::Answers(self.answers));
        }
        if answers.is_empty() {
            return None;
        }
        // one that was given up on this side is asked again by the next run
        let may_come = |call: &Option<Settled<T>>| match call {
            None => true,
            Some(Settled::Failed(error)) => error.kind().is_given_up(),
            Some(_) => false,
        };
        let numbers = 0..settled.len();
        let open: Vec<usize> = numbers.filter(|at| may_come(&settled[*at])).collect();
        if !open.is_empty() && (self.certain)(&answers, &open) {
            return Some(End::Certain);
        }
        self.deadline.filter(|_| late).map(End::Late)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answers(answers) => write!(f, "{answers} answers were enough"),
            Self::Certain => f.write_str("the outcome was certain"),
            Self::Late(limit) => write!(f, "the deadline of {limit:?} had passed"),
        }
    }
}

/// What the members said, each at its place, and what it cost.
#[derive(Debug)]
pub(super) struct Said<T> {
    pub(super) settled: Vec<Settled<T>>,
    pub(super) bill: Bill,
    /// Whether the outcome was certain before all had ended.
    pub(super) certain: bool,
}

impl<T> Said<T> {
    /// Members that were not asked, or cancelled, because the outcome was certain.
    pub(super) fn calls_saved(&self) -> u32 {
        let cancelled = self
            .settled
            .iter()
            .filter(|call| matches!(call, Settled::Cancelled(_)));
        match self.certain {
            true => u32::try_from(cancelled.count()).unwrap_or(u32::MAX),
            false => 0,
        }
    }
}

/// Asks all members at once; `accept` reads an answer of the member with this number, or says what is wrong with it.
///
/// Answers that an earlier run recorded are taken from there before anybody is asked. An answer is recorded before it
/// counts.
///
/// # Errors
/// The run stops (then no decision is made over half of the answers), or an answer cannot be recorded.
pub(super) async fn gather<T>(
    seats: &[Seat],
    enough: Enough<'_, T>,
    tries: Tries<'_>,
    accept: impl Fn(usize, &Reply) -> Result<T, Error>,
) -> Result<Said<T>, Error> {
    let mut settled: Vec<Option<Settled<T>>> = seats
        .iter()
        .enumerate()
        .map(|(index, seat)| recorded(seat, |reply| accept(index, reply)))
        .collect();
    let mut end = enough.end(&settled, false);
    if end.is_none() {
        let accept = &accept;
        let mut calls: FuturesUnordered<_> = seats
            .iter()
            .enumerate()
            .filter(|(index, _)| settled[*index].is_none())
            .map(|(index, seat)| async move {
                (
                    index,
                    answer(seat, tries, |reply| accept(index, reply)).await,
                )
            })
            .collect();
        let alarm = async {
            match enough.deadline {
                Some(limit) => tries.clock.sleep_until(tries.clock.now() + limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(alarm);
        let mut late = false;
        while end.is_none() {
            tokio::select! {
                biased;
                next = calls.next() => {
                    let Some((index, call)) = next else { break };
                    settled[index] = Some(call?);
                }
                () = &mut alarm, if !late => late = true,
            }
            end = enough.end(&settled, late);
        }
    }
    let why = end.map(|end| end.to_string()).unwrap_or_default();
    let cancelled = || Settled::Cancelled(format!("its answer was no longer needed: {why}"));
    let settled = settled
        .into_iter()
        .map(|call| call.unwrap_or_else(cancelled));
    sum_up(settled.collect(), end)
}

fn recorded<T>(seat: &Seat, accept: impl Fn(&Reply) -> Result<T, Error>) -> Option<Settled<T>> {
    let reply = part::recorded(&seat.request)?;
    let taken = accept(&reply).ok()?;
    Some(Settled::Answered(Box::new(reply), taken))
}

async fn answer<T>(
    seat: &Seat,
    tries: Tries<'_>,
    accept: impl Fn(&Reply) -> Result<T, Error>,
) -> Result<Settled<T>, Error> {
    let mut reply = match tries.ask(&seat.model, seat.request.clone()).await {
        Ok(reply) => reply,
        Err(error) if error.kind() == ErrorKind::Ledger => return Err(error),
        Err(error) => return Ok(Settled::Failed(error)),
    };
    match accept(&reply) {
        Err(error) => Ok(Settled::Failed(paid(error, &reply))),
        Ok(taken) => {
            record(seat.request.journal.as_ref(), &mut reply).await?;
            Ok(Settled::Answered(Box::new(reply), taken))
        }
    }
}

fn sum_up<T>(mut settled: Vec<Settled<T>>, end: Option<End>) -> Result<Said<T>, Error> {
    let mut bill = Bill::default();
    let mut stopped = None;
    for call in &mut settled {
        match call {
            Settled::Answered(reply, _) => bill.on(reply),
            Settled::Failed(error) => {
                bill.on_failure(error);
                if error.kind().is_given_up() {
                    stopped.get_or_insert(error.clone());
                }
            }
            Settled::Cancelled(_) => {}
        }
    }
    match (stopped, end) {
        (Some(error), None | Some(End::Late(_))) => Err(bill.charge(error)),
        _ => Ok(Said {
            settled,
            bill,
            certain: end == Some(End::Certain),
        }),
    }
}

/// The members as the result tells them; `text` is what it shows of an answer.
pub(super) fn listed<T>(
    seats: &[Seat],
    settled: &[Settled<T>],
    text: impl Fn(&Reply, &T) -> String,
) -> Vec<Member> {
    let member = |(seat, call): (&Seat, &Settled<T>)| match call {
        Settled::Answered(reply, taken) => {
            let text = Some(text(reply, taken));
            Member::answered(&reply.head.model, text, reply.spent())
        }
        Settled::Failed(error) => Member::failed(seat.model.name(), error),
        Settled::Cancelled(why) => Member::cancelled(seat.model.name(), why),
    };
    seats.iter().zip(settled).map(member).collect()
}

/// Why each member has no answer, in words that tell equal models apart.
pub(super) fn failures<T>(seats: &[Seat], settled: Vec<Settled<T>>) -> Vec<(String, Error)> {
    let ended = seats.iter().zip(settled).enumerate();
    ended
        .filter_map(|(index, (seat, call))| match call {
            Settled::Failed(error) => {
                Some((format!("member {index} ({})", seat.model.name()), error))
            }
            _ => None,
        })
        .collect()
}
