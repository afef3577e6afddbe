use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{
    BoxFuture, ChatRequest, Error, ErrorKind, Reply,
    job::{AnsweredAttempt, AttemptJournal},
    patterns::vote::{Ballot, Poll, Rule, VoteError},
};

use crate::members::{ScriptedMember, failure, ready, shared, tokens};

const YES: &str = r#"{"category": "yes", "confidence": 0.8}"#;
const NO: &str = r#"{"category": "no", "confidence": 0.6}"#;
const CATEGORIES: [&str; 2] = ["yes", "no"];

fn question() -> ChatRequest {
    ChatRequest::prompt("Is it?")
}

#[tokio::test(start_paused = true)]
async fn the_calls_that_cannot_matter_are_cancelled() {
    let yes = ScriptedMember::says("test/yes", 1, YES);
    let no = ScriptedMember::says("test/no", 2, NO);
    let slow = ScriptedMember::says("test/slow", 60, NO);
    let voters = shared([&slow, &yes, &no, &yes, &yes]);
    let poll = Poll::new(voters, CATEGORIES, Rule::majority()).unwrap();
    let begun = tokio::time::Instant::now();
    let polled = poll.ask(question()).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    assert_eq!(polled.vote.winner.as_deref(), Some("yes"));
    assert_eq!((polled.vote.calls_saved, polled.vote.abstentions), (2, 0));
    assert_eq!(polled.spent.usage(), Some(tokens(30, 15)));
    assert_eq!(polled.attempts, 3);
    assert!(matches!(
        &polled.ballots[..],
        [
            Ballot::Cancelled,
            Ballot::Cast { .. },
            Ballot::Cancelled,
            Ballot::Cast { .. },
            Ballot::Cast { .. }
        ]
    ));
    assert_eq!((slow.under_way(), no.under_way()), (0, 0));
    // the same, all heard: the outcome is the same
    let voters = shared([&slow, &yes, &no, &yes, &yes]);
    let full = Poll::new(voters, CATEGORIES, Rule::majority()).unwrap();
    let full = full.with_full_count().ask(question()).await.unwrap();
    assert_eq!(full.vote.winner, polled.vote.winner);
    assert_eq!((full.vote.calls_saved, full.vote.votes[1].votes), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn samples_are_told_apart_and_a_limit_saves_more() {
    let model = ScriptedMember::says("test/yes", 1, YES);
    let poll = Poll::samples(model.clone(), 5, CATEGORIES, Rule::majority()).unwrap();
    let polled = poll
        .with_limit(NonZeroUsize::MIN)
        .ask(ChatRequest {
            sample: 2,
            ..question()
        })
        .await
        .unwrap();
    assert_eq!((polled.vote.calls_saved, model.started()), (2, 3));
    let samples: Vec<u32> = model.requests().iter().map(|r| r.sample).collect();
    assert_eq!(samples, [10, 11, 12], "those of a third asking of the same");
    let schema = model.requests()[0].schema.clone().unwrap();
    assert_eq!(
        schema.json()["properties"]["category"]["enum"],
        serde_json::json!(["yes", "no"])
    );
}

#[tokio::test(start_paused = true)]
async fn failed_and_unfit_answers_abstain() {
    let yes = ScriptedMember::says("test/yes", 3, YES);
    let down = ScriptedMember::fails("test/down", 1, ErrorKind::ServerError);
    let other = ScriptedMember::says("test/other", 2, r#"{"category": "maybe", "confidence": 1}"#);
    let voters = shared([&down, &other, &yes]);
    let poll = Poll::new(voters, CATEGORIES, Rule::majority()).unwrap();
    let polled = poll.ask(question()).await.unwrap();
    assert_eq!(polled.vote.winner.as_deref(), Some("yes"));
    assert_eq!(
        (polled.vote.abstentions, polled.vote.confidence),
        (2, Some(0.8))
    );
    assert_eq!(
        polled.spent.usage(),
        Some(tokens(21, 10)),
        "what failed was paid too"
    );
    let Ballot::Failed(unfit) = &polled.ballots[1] else {
        panic!("{:?}", polled.ballots[1])
    };
    assert_eq!(unfit.kind(), ErrorKind::OffSchema);
}

#[tokio::test(start_paused = true)]
async fn a_missed_quorum_has_no_winner() {
    let yes = ScriptedMember::says("test/yes", 1, YES);
    let down = ScriptedMember::fails("test/down", 2, ErrorKind::Timeout);
    let rule = Rule::majority().with_quorum(3);
    let slow = ScriptedMember::says("test/slow", 60, YES);
    let poll = Poll::new(shared([&yes, &down, &down, &slow]), CATEGORIES, rule).unwrap();
    let polled = poll.ask(question()).await.unwrap();
    assert_eq!(
        (polled.vote.winner, polled.vote.quorum_reached),
        (None, false)
    );
    assert_eq!(polled.vote.calls_saved, 1);
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_each_cause_is_told() {
    let down = ScriptedMember::fails("test/down", 1, ErrorKind::Timeout);
    let keyless = ScriptedMember::fails("test/keyless", 2, ErrorKind::Auth);
    let rule = Rule::majority().with_quorum(2);
    let poll = Poll::new(shared([&down, &keyless]), CATEGORIES, rule).unwrap();
    let error = poll.ask(question()).await.unwrap_err();
    assert_eq!(
        error.message(),
        "all 2 voters failed: test/down: timeout: it was timeout; test/keyless: auth: it was auth"
    );
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 2));
    assert_eq!(error.usage(), Some(tokens(2, 0)));
    assert!(!error.stops_the_run());
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_no_abstention() {
    let yes = ScriptedMember::says("test/yes", 5, YES);
    let drained = ScriptedMember::new("test/drained", 1, |call| match call {
        0 => Err(failure(ErrorKind::Stopped)),
        _ => ready("test/drained", YES),
    });
    let poll = Poll::new(shared([&yes, &drained]), CATEGORIES, Rule::majority()).unwrap();
    let error = poll.ask(question()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
    assert_eq!(yes.under_way(), 0);
    assert!(poll.ask(question()).await.is_ok());
}

/// Keeps answers by part, as a ledger does.
#[derive(Clone, Debug, Default)]
struct Notebook {
    part: String,
    answers: Arc<Mutex<BTreeMap<String, String>>>,
}

impl AttemptJournal for Notebook {
    fn earlier(&self) -> Vec<AnsweredAttempt> {
        Vec::new()
    }

    fn record(&self, _: AnsweredAttempt) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn part(&self, name: &str) -> Arc<dyn AttemptJournal> {
        Arc::new(Self {
            part: name.to_owned(),
            ..self.clone()
        })
    }

    fn answer(&self) -> Option<Reply> {
        Reply::from_record(self.answers.lock().unwrap().get(&self.part)?)
    }

    fn record_answer(&self, reply: &Reply) -> BoxFuture<'_, Result<(), Error>> {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(self.part.clone(), reply.to_record());
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn answers_of_a_run_that_was_killed_are_not_paid_again() {
    let quick = ScriptedMember::says("test/quick", 1, YES);
    let slow = ScriptedMember::says("test/slow", 60, YES);
    let poll = Poll::new(shared([&slow, &quick, &slow]), CATEGORIES, Rule::majority()).unwrap();
    let journal = Notebook::default();
    let asking = || ChatRequest {
        journal: Some(Arc::new(journal.clone())),
        ..question()
    };
    let killed = tokio::time::timeout(Duration::from_secs(5), poll.ask(asking())).await;
    assert!(killed.is_err());
    let polled = poll.ask(asking()).await.unwrap();
    assert_eq!(
        (quick.started(), polled.spent.usage()),
        (1, Some(tokens(20, 10)))
    );
    assert_eq!(polled.vote.winner.as_deref(), Some("yes"));
    let answers = journal.answers.lock().unwrap();
    assert!(answers.contains_key("1") && answers.len() == 2);
}

#[test]
fn bad_polls_are_refused_before_any_call() {
    let model = ScriptedMember::says("test/yes", 1, YES);
    let of = |voters: usize, categories: &[&'static str]| {
        Poll::samples(model.clone(), voters, categories.to_vec(), Rule::majority()).unwrap_err()
    };
    assert_eq!(of(0, &["a"]), VoteError::NoVoters);
    assert_eq!(of(3, &[]), VoteError::NoCategories);
    assert_eq!(
        of(3, &["a", "a"]),
        VoteError::DuplicateCategory("a".to_owned())
    );
    assert_eq!(Arc::strong_count(&model), 1);
}
