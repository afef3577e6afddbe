//! [`Poll`]: asks voters a question with given answers, and counts.

use std::num::NonZeroUsize;

use serde::Deserialize;
use serde_json::json;

use super::{Rule, Tally, Vote, VoteError};
use crate::{
    ChatRequest, Error, ErrorKind, Reply, Schema, SharedModel, Spent,
    chat::Delivery,
    makeup::Shares,
    patterns::{
        all_failed::all_failed,
        part::{paid, part, recorded_or_new},
        window,
    },
};

/// A vote over models, or over samples of one. Each voter answers with a category and its confidence in it; voters run side
/// by side, and the calls that can no longer change the outcome are cancelled.
///
/// The question goes to the voters as it is. What they may answer is the schema of their answer, so the models given here
/// must hold answers to a schema, as every model with its stack of layers does.
///
/// ```
/// # use std::sync::Arc;
/// # use antiphon_core::{*, patterns::vote::{Poll, Rule}};
/// # #[derive(Debug)] struct Says(&'static str);
/// # impl Model for Says {
/// #     fn name(&self) -> &str { "demo/model" }
/// #     fn call(&self, _: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
/// #         let body = Body::Ready(Answer { text: self.0.into(), finish_reason: FinishReason::Stop, reasoning: None, refusal: None, tool_calls: vec![],
/// #             model: None, spent: Default::default(), body: Default::default(), latency: Default::default() });
/// #         Box::pin(async move { Ok(ChatResponse { head: Head::default(), body }) })
/// #     }
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let model: SharedModel = Arc::new(Says(r#"{"category": "spam", "confidence": 0.8}"#));
/// let poll = Poll::samples(model, 5, ["spam", "ham"], Rule::majority()).unwrap();
/// let polled = poll.ask(ChatRequest::prompt("Spam or ham: You have won!")).await.unwrap();
/// assert_eq!(polled.vote.winner.as_deref(), Some("spam"));
/// assert_eq!(polled.vote.calls_saved, 2);
/// # });
/// ```
#[derive(Debug)]
pub struct Poll {
    voters: Vec<SharedModel>,
    tally: Tally,
    categories: Vec<String>,
    schema: Schema,
    limit: NonZeroUsize,
    stops_early: bool,
}

/// What became of one voter.
#[derive(Clone, Debug)]
pub enum Ballot {
    /// A vote.
    Cast {
        /// The category.
        category: String,
        /// How sure the voter says to be, 0 to 1.
        confidence: f64,
        /// The whole reply.
        reply: Box<Reply>,
    },
    /// No vote: the call failed. The voter abstains.
    Failed(Error),
    /// Not waited for or not asked: the outcome was settled.
    Cancelled,
}

/// A vote and what stands behind it.
#[derive(Clone, Debug)]
pub struct Polled {
    /// The result.
    pub vote: Vote,
    /// What became of each voter, at the voter's index.
    pub ballots: Vec<Ballot>,
    /// What all attempts of all voters used, failed ones included. What a cancelled call has used is not known and not in it.
    pub spent: Spent,
    /// Attempts made on the wire, those of cancelled calls not included.
    pub attempts: u32,
}

impl Poll {
    /// A vote of these models, each of which has one vote; a model may stand in the list more than once.
    ///
    /// # Errors
    /// No voters, no categories, a category that is listed twice, a quorum beyond the number of voters.
    pub fn new<C: Into<String>>(
        voters: Vec<SharedModel>,
        categories: impl IntoIterator<Item = C>,
        rule: Rule,
    ) -> Result<Self, VoteError> {
        let categories: Vec<String> = categories.into_iter().map(Into::into).collect();
        let tally = Tally::new(categories.iter().cloned(), voters.len(), rule)?;
        let limit = NonZeroUsize::new(voters.len()).ok_or(VoteError::NoVoters)?;
        Ok(Self {
            schema: ballot_schema(&categories),
            voters,
            tally,
            categories,
            limit,
            stops_early: true,
        })
    }

    /// A vote of so many samples of one model.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn samples<C: Into<String>>(
        model: SharedModel,
        samples: usize,
        categories: impl IntoIterator<Item = C>,
        rule: Rule,
    ) -> Result<Self, VoteError> {
        Self::new(vec![model; samples], categories, rule)
    }

    /// With at most so many calls at once; by default all voters are asked at once, which is fastest. With fewer at once
    /// more calls are saved.
    #[must_use]
    pub fn with_limit(mut self, calls: NonZeroUsize) -> Self {
        self.limit = calls;
        self
    }

    /// With every voter heard, also when the outcome is settled: for exact counts and confidence.
    #[must_use]
    pub fn with_full_count(mut self) -> Self {
        self.stops_early = false;
        self
    }

    /// Asks the voters. The request's schema is replaced by that of a ballot.
    ///
    /// # Errors
    /// Every voter failed: the message lists each one's cause. A call that was given up on this side, or a ledger that
    /// cannot be written, ends the vote at once: an abstention for such a reason would be kept as if the voter had failed.
    pub async fn ask(&self, mut request: ChatRequest) -> Result<Polled, Error> {
        request.schema = Some(self.schema.clone());
        request.delivery = Delivery::Whole;
        let mut tally = self.tally.clone();
        let mut ballots = vec![Ballot::Cancelled; self.voters.len()];
        let request = &request;
        let shares = &Shares::of(&self.voters);
        let mut answers = window(0..self.voters.len(), self.limit, |_, voter| {
            self.ask_one(request, shares, voter)
        });
        while let Some((voter, answered)) = answers.next().await {
            let counted = match answered {
                Ok((ballot, category, confidence)) => {
                    ballots[voter] = ballot;
                    tally.cast(voter, category, confidence)
                }
                Err(error) if error.kind().is_given_up() => {
                    return Err(error);
                }
                Err(error) => {
                    ballots[voter] = Ballot::Failed(error);
                    tally.abstain(voter)
                }
            };
            counted.map_err(|error| Error::new(ErrorKind::BadResponse, error.to_string()))?;
            // nobody has voted: the errors are worth more than the knowledge that a quorum is out of reach
            let nobody = ballots.iter().all(|b| !matches!(b, Ballot::Cast { .. }));
            if self.stops_early && tally.is_decided() && !nobody {
                break;
            }
        }
        drop(answers);
        self.settle(tally.vote(), ballots)
    }

    fn settle(&self, vote: Vote, ballots: Vec<Ballot>) -> Result<Polled, Error> {
        if ballots.iter().all(|b| matches!(b, Ballot::Failed(_))) {
            let failures = ballots.into_iter().zip(&self.voters);
            let failures = failures
                .filter_map(|(ballot, voter)| match ballot {
                    Ballot::Failed(error) => Some((voter.name(), error)),
                    _ => None,
                })
                .collect();
            return Err(all_failed("voters", failures));
        }
        let mut spent = Spent::default();
        let mut attempts: u32 = 0;
        for ballot in &ballots {
            let (used, made) = match ballot {
                Ballot::Cast { reply, .. } => (reply.spent(), reply.head.attempts),
                Ballot::Failed(error) => (error.spent(), error.attempts()),
                Ballot::Cancelled => (Spent::default(), 0),
            };
            spent += used;
            attempts = attempts.saturating_add(made);
        }
        Ok(Polled {
            vote,
            ballots,
            spent,
            attempts,
        })
    }

    /// A voter's ballot, its category's number and its confidence. An answer that an earlier run recorded is not asked for
    /// again.
    async fn ask_one(
        &self,
        request: &ChatRequest,
        shares: &Shares,
        voter: usize,
    ) -> Result<(Ballot, usize, f64), Error> {
        let request = part(request, shares, voter);
        let mut reply = recorded_or_new(&self.voters[voter], request).await?;
        reply.head.receipt = None;
        let (category, confidence) = self
            .read(&reply)
            .map_err(|fault| paid(Error::new(ErrorKind::OffSchema, fault), &reply))?;
        let ballot = Ballot::Cast {
            category: self.categories[category].clone(),
            confidence,
            reply: Box::new(reply),
        };
        Ok((ballot, category, confidence))
    }

    fn read(&self, reply: &Reply) -> Result<(usize, f64), String> {
        let value = self.schema.accept(reply.text()).map_err(|off| off.0)?;
        let said: Said = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let category = self
            .categories
            .iter()
            .position(|name| *name == said.category)
            .ok_or_else(|| format!("`{}` is not one of the categories", said.category))?;
        Ok((category, said.confidence))
    }
}

#[derive(Deserialize)]
struct Said {
    category: String,
    confidence: f64,
}

fn ballot_schema(categories: &[String]) -> Schema {
    let json = json!({
        "title": "vote",
        "type": "object",
        "properties": {
            "category": {
                "type": "string",
                "enum": categories,
                "description": "The one category that fits best."
            },
            "confidence": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "description": "How sure you are of the category: 0 is a guess, 1 is certain."
            }
        },
        "required": ["category", "confidence"],
        "additionalProperties": false
    });
    Schema::new(json)
        .expect("the schema of a ballot is valid: its categories are distinct and not empty")
}
