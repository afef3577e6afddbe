//! A model that the program brings and that tells nothing of what it used, as the model of an MCP client.

#![allow(missing_docs, reason = "a test")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use antiphon::{
    Config, Session,
    core::{
        Answer, Body, BoxFuture, ChatRequest, ChatResponse, Error, ErrorKind, FinishReason, Head,
        Model, Spent, Usd,
        chat::{Delivery, deltas_of},
    },
    session::SessionOptions,
};

/// Answers, or fails each time in the same way.
#[derive(Debug, Default)]
struct Silent {
    fails: Option<Error>,
    calls: AtomicUsize,
}

impl Model for Silent {
    fn name(&self) -> &str {
        "client"
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        self.calls.fetch_add(1, Relaxed);
        let answer = Answer {
            text: "a star".to_owned(),
            finish_reason: FinishReason::Stop,
            reasoning: None,
            refusal: None,
            tool_calls: Vec::new(),
            // one that has a price where it is asked directly
            model: Some("gpt-4o-mini".to_owned()),
            spent: Spent::answer(None),
            body: "{}".into(),
            latency: Duration::ZERO,
        };
        let head = Head {
            model: "gpt-4o-mini".to_owned(),
            status: 200,
            dropped: vec!["top_p".to_owned()],
            attempts: 1,
            ..Head::default()
        };
        let body = match request.delivery {
            Delivery::Whole => Body::Ready(answer),
            Delivery::Streamed => {
                let deltas = deltas_of(&answer).into_iter().map(Ok);
                Body::Stream(Box::pin(futures_util::stream::iter(deltas)))
            }
        };
        let failed = self.fails.clone();
        Box::pin(async move {
            match failed {
                Some(error) => Err(error),
                None => Ok(ChatResponse { head, body }),
            }
        })
    }
}

/// A session that was given this model, and no configuration of the user's.
fn session(model: &Arc<Silent>, options: SessionOptions) -> Session {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap().to_owned();
    let env = move |name: &str| (name == "XDG_CONFIG_HOME").then(|| home.clone());
    let config = Config::load(folder.path(), None, &env).unwrap();
    let options = SessionOptions {
        given: BTreeMap::from([("client".to_owned(), Arc::clone(model) as _)]),
        ..options
    };
    Session::new(config, options, &env, Default::default())
}

#[tokio::test]
async fn what_is_not_told_is_unknown_and_never_nothing() {
    for delivery in [Delivery::Whole, Delivery::Streamed] {
        let model = Arc::new(Silent::default());
        let session = session(&model, SessionOptions::default());
        let mut request = ChatRequest::prompt("what is there?");
        request.delivery = delivery;
        let response = session.model("given/client").unwrap().call(request).await;
        let reply = response.unwrap().whole().await.unwrap();
        assert_eq!(reply.answer.text, "a star");
        assert_eq!(reply.head.dropped, ["top_p"]);
        for spent in [reply.spent(), session.metrics().spent()] {
            assert_eq!(spent.answers(), 1, "{delivery:?}");
            assert_eq!((spent.unpriced(), spent.unestimated()), (1, 1));
            assert_eq!((spent.usage(), spent.cost()), (None, None));
            assert_eq!((spent.impacts(), spent.known_cost()), (None, None));
        }
    }
}

#[test]
fn a_budget_refuses_a_model_without_a_price() {
    let model = Arc::new(Silent::default());
    let options = SessionOptions {
        budget: Some(Usd::from_picos(1_000_000_000_000)),
        ..SessionOptions::default()
    };
    let error = session(&model, options).model("given/client").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
    assert_eq!(
        error.message(),
        "a budget needs prices, and that of given/client is not known: leave the budget out, or give it under \
         [prices.\"given/client\"] in antiphon.toml"
    );
    assert_eq!(model.calls.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_was_asked_is_not_asked_again() {
    let fails = |kind| Error::new(kind, "no");
    let cases = [
        fails(ErrorKind::Rejected).not_sent(),
        fails(ErrorKind::Unsupported).not_sent(),
        fails(ErrorKind::Timeout).with_should_retry(Some(false)),
        fails(ErrorKind::ServerError).with_should_retry(Some(false)),
    ];
    for error in cases {
        let kind = error.kind();
        let model = Arc::new(Silent {
            fails: Some(error),
            ..Silent::default()
        });
        let session = session(&model, SessionOptions::default());
        let asked = session.model("given/client").unwrap();
        let failed = asked.call(ChatRequest::prompt("q")).await.unwrap_err();
        assert_eq!(failed.kind(), kind);
        assert_eq!(model.calls.load(Relaxed), 1, "{kind}");
        // what was declined or never sent has cost nothing; nobody knows it of the others
        let is_free = matches!(kind, ErrorKind::Rejected | ErrorKind::Unsupported);
        assert_eq!(session.metrics().spent().lost_attempts() == 0, is_free);
    }
}
