use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{
    ChatRequest, Clock, ErrorKind, SystemClock,
    patterns::ensemble::{Decider, Ensemble, EnsembleConfig, EnsembleError, LogLevel, Majority},
};
use serde_json::{Value, json};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::support::{
    ask, codes, decided, decision, ensemble, failing, saying, shared, shown, slow, structured,
};

fn voting(number: usize) -> (Arc<super::support::Scripted>, Ensemble) {
    // slow enough for all to be asked before the vote is settled
    let model = slow("a", "1", 1);
    let vote = Decider::Vote(Arc::new(Majority));
    let panel = Ensemble::samples_of(model.clone(), number, vote, EnsembleConfig::default());
    (model, panel.unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_number_of_members_changes_from_the_next_call_on() {
    let (model, panel) = voting(2);
    assert_eq!(panel.config().num_processors, 2);
    ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    panel
        .reconfigure(|config| config.num_processors = 5)
        .unwrap();
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!((model.calls(), codes(&reply).len()), (7, 5));

    // given models go round, or the last of them are left out
    let (a, b) = (slow("a", "1", 1), slow("b", "2", 1));
    let panel = ensemble(&[&a, &b], Decider::Vote(Arc::new(Majority)));
    panel
        .reconfigure(|config| config.num_processors = 3)
        .unwrap();
    ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!((a.calls(), b.calls()), (2, 1));
    panel
        .reconfigure(|config| config.num_processors = 1)
        .unwrap();
    ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!((a.calls(), b.calls()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn timeout_and_retries_take_effect() {
    let a = slow("a", "1", 40);
    let panel = ensemble(&[&a], Decider::Vote(Arc::new(Majority)));
    ask(&panel, ChatRequest::prompt("x")).await.unwrap_err();
    assert_eq!(a.calls(), 3);
    panel.reconfigure(|config| config.max_retries = 0).unwrap();
    let clock = SystemClock::new();
    let error = ask(&panel, ChatRequest::prompt("x")).await.unwrap_err();
    assert_eq!((a.calls(), error.kind()), (4, ErrorKind::Timeout));
    assert_eq!(clock.now().since_start(), Duration::from_secs(30));
    panel
        .reconfigure(|config| config.timeout = Some(Duration::from_secs(50)))
        .unwrap();
    assert!(ask(&panel, ChatRequest::prompt("x")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_decision_maker_has_the_same_limits() {
    let (a, b) = (saying("a", "1"), saying("b", "2"));
    let chair = slow("chair", &decided(&[2], Value::Null), 40);
    let panel = ensemble(&[&a, &b], Decider::Decide(chair.clone()));
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!((chair.calls(), decision(&reply).by.as_str()), (3, "first"));
    assert!(
        decision(&reply)
            .failure
            .as_deref()
            .unwrap()
            .contains("timeout")
    );
    panel.reconfigure(|config| config.timeout = None).unwrap();
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!(
        (reply.text(), decision(&reply).by.as_str()),
        ("2", "decide")
    );
}

#[tokio::test]
async fn reasoning_can_be_switched_on_and_off() {
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 2}"#));
    let chair = saying("chair", decided(&[1], Value::Null));
    let panel = ensemble(&[&a, &b], Decider::Decide(chair.clone()));
    for pass_reasoning in [false, true, false] {
        panel
            .reconfigure(|config| config.pass_reasoning = pass_reasoning)
            .unwrap();
        ask(&panel, structured()).await.unwrap();
        let requests = a.requests();
        let schema = requests.last().unwrap().schema.as_ref().unwrap().json();
        let fields = schema["properties"].as_object().unwrap().len();
        assert_eq!(fields, 1 + usize::from(pass_reasoning));
    }
    assert_eq!(
        shown(&chair.requests()[0])[0],
        json!({"candidate": 1, "answer": {"x": 1}})
    );
}

#[tokio::test]
async fn bad_settings_are_refused_and_the_old_ones_stay() {
    let (model, panel) = voting(2);
    let refused = panel.reconfigure(|config| config.num_processors = 0);
    assert_eq!(refused, Err(EnsembleError::NumProcessors(0)));
    assert_eq!(panel.config().num_processors, 2);
    let config = EnsembleConfig {
        decision_maker_temperature: 3.0,
        ..EnsembleConfig::default()
    };
    let judge = Decider::Judge {
        model: model.clone(),
        swapped: false,
    };
    let made = Ensemble::new(shared(&[&model]), judge, config);
    assert_eq!(made.unwrap_err(), EnsembleError::Temperature(3.0));
    let vote = Decider::Vote(Arc::new(Majority));
    let none = Ensemble::samples_of(model, 0, vote, EnsembleConfig::default());
    assert_eq!(none.unwrap_err(), EnsembleError::NoMembers);
}

#[tokio::test]
async fn the_summary_tells_settings_and_what_was_done() {
    let (a, bad) = (
        saying("a", "1"),
        failing("bad", ErrorKind::BadRequest, "no"),
    );
    let chair = saying("chair", decided(&[1], Value::Null));
    let panel = ensemble(&[&a, &bad, &a], Decider::Decide(chair))
        .with_name("panel")
        .with_quorum(2.try_into().unwrap());
    ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    let summary = panel.summary();
    let text = summary.to_string();
    for part in [
        "panel: members: a, bad, a",
        "decide by chair at temperature 0.1",
        "timeout 30s, 2 retries; quorum: 2",
        "calls: 1, 0 failed; members: 3 asked, 2 succeeded, 1 failed, 0 cancelled",
        "decisions: 1 made (0 in doubt), 0 skipped, 0 failed; tokens: 30 in, 15 out",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let value = serde_json::to_value(&summary).unwrap();
    assert_eq!(value["config"]["decision_maker_model"], "chair");
    assert_eq!(value["counters"]["tokens"]["input_tokens"], 30);
}

/// Keeps what is told: level and fields.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<(Level, String)>>>);

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "antiphon::ensemble"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        let told = (*event.metadata().level(), words.0);
        self.0.lock().unwrap().push(told);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn logging_tells_what_its_level_wants_and_no_contents() {
    let (a, b) = (saying("a", "secret answer"), saying("b", "2"));
    let bad = failing("bad", ErrorKind::BadRequest, "no");
    let chair = saying("chair", decided(&[1], Value::Null));
    let panel = ensemble(&[&a, &b, &bad], Decider::Decide(chair));
    let hopeless = ensemble(&[&bad], Decider::Decide(saying("chair", "")));
    let listener = Listener::default();
    let _listening = tracing::subscriber::set_default(listener.clone());
    let heard = async |level: Option<LogLevel>| {
        for panel in [&panel, &hopeless] {
            panel
                .reconfigure(|config| {
                    config.enable_logging = level.is_some();
                    config.log_level = level.unwrap_or(LogLevel::Debug);
                })
                .unwrap();
            let _ = ask(panel, ChatRequest::prompt("secret question")).await;
        }
        let told = std::mem::take(&mut *listener.0.lock().unwrap());
        assert!(
            told.iter().all(|(_, words)| !words.contains("secret")),
            "{told:?}"
        );
        let count = |level| told.iter().filter(|(told, _)| *told == level).count();
        [Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR].map(count)
    };
    assert_eq!(heard(Some(LogLevel::Debug)).await, [2, 1, 2, 1]);
    assert_eq!(heard(Some(LogLevel::Info)).await, [0, 1, 2, 1]);
    assert_eq!(heard(Some(LogLevel::Warning)).await, [0, 0, 2, 1]);
    assert_eq!(heard(Some(LogLevel::Error)).await, [0, 0, 0, 1]);
    assert_eq!(heard(Some(LogLevel::Critical)).await, [0; 4]);
    assert_eq!(heard(None).await, [0; 4]);
}
