use std::{collections::BTreeMap, sync::Arc};

use antiphon_core::{
    ChatRequest, Error, ErrorKind, Message, Schema, SharedModel,
    chat::Role,
    patterns::ensemble::{Decider, Directory, Ensemble, EnsembleConfig, EnsembleError, Majority},
};
use serde_json::{Map, Value, json};

use super::support::{Scripted, ask, decided, decision, ensemble, saying, structured, x_schema};

#[derive(Debug, Default)]
struct Names(BTreeMap<&'static str, Arc<Scripted>>);

impl Directory for Names {
    fn model(&self, name: &str) -> Result<SharedModel, Error> {
        match self.0.get(name) {
            Some(model) => Ok(model.clone()),
            None => Err(Error::new(
                ErrorKind::ModelNotFound,
                format!("no model is called {name:?}"),
            )),
        }
    }
}

fn names() -> (Arc<Names>, Arc<Scripted>, Arc<Scripted>) {
    let member = saying("openai/m", r#"{"x": 4}"#);
    let chair = saying("openai/gpt-4o-mini", decided(&[3], Value::Null));
    let names = Names(BTreeMap::from([
        ("m", member.clone()),
        ("gpt-4o-mini", chair.clone()),
        (
            "other",
            saying("openai/other", decided(&[1], json!({"x": 5}))),
        ),
    ]));
    (Arc::new(names), member, chair)
}

fn question() -> Vec<Message> {
    vec![Message::text(Role::User, "what is x?")]
}

#[tokio::test]
async fn parse_asks_samples_of_a_named_model_and_gives_the_value() {
    let (names, member, chair) = names();
    let panel = Ensemble::from_directory(names, EnsembleConfig::default()).unwrap();
    let params = Map::from_iter([("seed".to_owned(), json!(1))]);
    let parsed = panel
        .parse("m", question(), x_schema(), params)
        .await
        .unwrap();
    assert_eq!(parsed.value, json!({"x": 4}));
    assert_eq!((member.calls(), chair.calls()), (3, 1));
    assert_eq!(decision(&parsed.reply).from, [2]);
    assert_eq!(member.requests()[0].params.get("seed"), Some(&json!(1)));
    let samples: Vec<_> = member
        .requests()
        .iter()
        .map(|request| request.sample)
        .collect();
    assert_eq!(samples, [0, 1, 2]);
}

#[tokio::test]
async fn the_decision_maker_is_looked_up_at_each_call() {
    let (names, _, chair) = names();
    let panel = Ensemble::from_directory(names, EnsembleConfig::default())
        .unwrap()
        .with_member_model("m");
    ask(&panel, structured()).await.unwrap();
    panel
        .reconfigure(|config| config.decision_maker_model = "other".to_owned())
        .unwrap();
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!((reply.text(), chair.calls()), (r#"{"x":5}"#, 1));

    panel
        .reconfigure(|config| config.decision_maker_model = "nobody".to_owned())
        .unwrap();
    let error = ask(&panel, structured()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::ModelNotFound, "no model is called \"nobody\"")
    );
    assert_eq!(
        (error.attempts(), error.usage()),
        (0, None),
        "before any member is paid"
    );
}

#[tokio::test]
async fn a_given_decision_maker_can_be_replaced_by_a_named_one_and_back() {
    let (names, _, _) = names();
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 2}"#));
    let given = saying("test/chair", decided(&[2], Value::Null));
    let panel = ensemble(&[&a, &b], Decider::Decide(given.clone()));
    assert_eq!(panel.config().decision_maker_model, "test/chair");
    let refused = panel.reconfigure(|config| config.decision_maker_model = "other".to_owned());
    assert_eq!(refused, Err(EnsembleError::NoDirectory("other".to_owned())));
    assert_eq!(panel.config().decision_maker_model, "test/chair");

    let panel = panel.with_directory(names);
    panel
        .reconfigure(|config| config.decision_maker_model = "other".to_owned())
        .unwrap();
    assert_eq!(
        ask(&panel, structured()).await.unwrap().text(),
        r#"{"x":5}"#
    );
    panel
        .reconfigure(|config| config.decision_maker_model = "test/chair".to_owned())
        .unwrap();
    assert_eq!(
        ask(&panel, structured()).await.unwrap().text(),
        r#"{"x":2}"#
    );
    assert_eq!(given.calls(), 1);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (names, _, _) = names();
    let panel = Ensemble::from_directory(names, EnsembleConfig::default()).unwrap();
    let error = ask(&panel, ChatRequest::prompt("x")).await.unwrap_err();
    assert!(
        error
            .message()
            .contains("no model is named for the members"),
        "{error}"
    );
    let error = panel
        .parse("q", question(), x_schema(), Map::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ModelNotFound);
    let list = Schema::new(json!({"type": "array"})).unwrap();
    let error = panel
        .parse("m", question(), list, Map::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);

    let model = saying("a", "1");
    let given = ensemble(&[&model], Decider::Vote(Arc::new(Majority)));
    let error = given
        .parse("m", question(), x_schema(), Map::new())
        .await
        .unwrap_err();
    assert!(error.message().contains("ask it as a model"), "{error}");
    let vote = given.reconfigure(|config| config.decision_maker_model = "m".to_owned());
    assert_eq!(vote, Err(EnsembleError::Vote));
}
