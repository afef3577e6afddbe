//! What a gateway needs of budgets: caps that change, words of its own, and requests in their caller's words.

use std::sync::Arc;

use antiphon_core::{
    ChatRequest, ErrorKind, Usd,
    chat::{Charge, Origin, Verbatim},
    layers::spend::{BudgetConfig, BudgetSnapshot, Budgets, Explain},
};
use serde_json::{Value, json};

use super::{books, capped, hold, paid, picos, request};
use crate::scripted::{Scripted, ready, settle};

#[tokio::test(start_paused = true)]
async fn a_higher_cap_lets_those_through_who_wait_and_a_lower_one_nobody() {
    let budget = capped(hold());
    let leaf = Scripted::new(|_, _| async { std::future::pending().await });
    let bench = paid(leaf.clone(), &budget);
    let start = |_| {
        let model = Arc::clone(&bench.model);
        tokio::spawn(async move { model.ask(request()).await })
    };
    let _calls: Vec<_> = (0..3).map(start).collect();
    settle().await;
    assert_eq!((leaf.calls(), budget.waiting()), (1, 2));
    budget.set_cap(picos(2 * hold()));
    settle().await;
    assert_eq!((leaf.calls(), budget.waiting()), (2, 1));
    budget.set_cap(picos(1));
    settle().await;
    assert_eq!((leaf.calls(), budget.waiting()), (2, 0));
    assert_eq!(books(&budget), (0, 0, 2 * hold()));
}

#[tokio::test(start_paused = true)]
async fn a_budget_refuses_in_its_own_words() {
    #[derive(Debug)]
    struct Words;
    impl Explain for Words {
        fn explain(&self, budget: &BudgetSnapshot, worst: Usd) -> String {
            format!("{} and {}", budget.spent.picos(), worst.picos())
        }
    }
    let budget = Budgets::new().open(BudgetConfig {
        cap: Some(picos(50)),
        spent: picos(7),
        words: Some(Arc::new(Words)),
        ..BudgetConfig::default()
    });
    let bench = paid(Scripted::new(|_, _| async { ready("a") }), &budget);
    let error = bench.model.ask(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Budget);
    assert_eq!(error.message(), format!("7 and {}", hold()));
}

/// A request of which a caller's own words say more.
fn verbatim(fields: Value) -> ChatRequest {
    let mut request = ChatRequest::prompt("x");
    let Value::Object(fields) = fields else {
        panic!("no fields")
    };
    request.origin = Some(Arc::new(Origin {
        wire: "openai-responses",
        body: Some(Verbatim {
            fields,
            messages: Arc::clone(&request.messages),
        }),
        ..Origin::default()
    }));
    request
}

#[tokio::test(start_paused = true)]
async fn what_only_the_callers_own_words_say_is_bounded_too() {
    let budget = capped(1_000_000);
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let bench = paid(leaf.clone(), &budget);
    let tool = json!({"tools": [{"type": "web_search"}]});
    let error = bench.model.ask(verbatim(tool)).await.unwrap_err();
    assert!(error.message().contains("web_search"), "{error}");
    // nobody here has read it, and nothing else bounds the input of this model
    let unread = json!({"input": [{"type": "item_reference", "id": "x"}]});
    let error = bench.model.ask(verbatim(unread)).await.unwrap_err();
    assert!(error.message().contains("holds more than text"), "{error}");
    assert_eq!(leaf.calls(), 0);
    // where no cap counts, the words are the caller's to the letter; where one does, they get one
    let counted = Budgets::new().open(BudgetConfig::default());
    let bench = paid(leaf.clone(), &counted);
    bench.model.ask(verbatim(json!({"a": 1}))).await.unwrap();
    let sent = leaf.requests();
    assert_eq!(sent[0].verbatim("openai-responses").unwrap().len(), 1);
}

/// Embeddings or counted tokens, as their caller put them.
fn passed(charge: Charge, fields: Value) -> ChatRequest {
    let mut request = verbatim(fields);
    Arc::make_mut(request.origin.as_mut().unwrap()).charge = charge;
    request
}

#[tokio::test(start_paused = true)]
async fn own_words_hold_what_their_bytes_may_cost() {
    let budget = capped(20_000);
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let bench = paid(leaf.clone(), &budget);
    // no context window is known here: without a bound of its own it would be refused
    let said = verbatim(json!({"input": "hi"}));
    bench.model.ask(said).await.unwrap();
    let stored = verbatim(json!({"prompt": {"id": "p"}}));
    let error = bench.model.ask(stored).await.unwrap_err();
    assert!(error.message().contains("`prompt`"), "{error}");
    assert_eq!(leaf.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn embeddings_hold_what_all_their_inputs_may_cost_and_stay_as_they_are() {
    let inputs = json!({"input": vec!["y".repeat(100); 50]});
    let leaf = Scripted::new(|_, _| async { ready("a") });
    // less than the least that the inputs may cost
    let bench = paid(leaf.clone(), &capped(5000));
    let asked = passed(Charge::Input, inputs.clone());
    let error = bench.model.ask(asked).await.unwrap_err();
    assert_eq!((error.kind(), leaf.calls()), (ErrorKind::Budget, 0));

    let bench = paid(leaf.clone(), &capped(8000));
    let asked = passed(Charge::Input, inputs.clone());
    bench.model.ask(asked).await.unwrap();
    let sent = &leaf.requests()[0];
    let fields = sent.verbatim("openai-responses").unwrap();
    assert_eq!(Value::Object(fields.clone()), inputs);
    assert!(sent.params.is_empty(), "{:?}", sent.params);
    let image = passed(Charge::Input, json!({"input": [{"image": "x"}]}));
    let error = bench.model.ask(image).await.unwrap_err();
    assert!(
        error.message().contains("neither text nor tokens"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_free_passes_a_budget_that_is_used_up() {
    let budget = capped(1);
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let bench = paid(leaf.clone(), &budget);
    let fields = json!({"messages": [], "prompt": {"id": "p"}});
    let free = passed(Charge::Nothing, fields.clone());
    bench.model.ask(free).await.unwrap();
    assert_eq!(books(&budget), (0, 0, 0));
    let sent = &leaf.requests()[0];
    let sent = sent.verbatim("openai-responses").unwrap();
    assert_eq!(Value::Object(sent.clone()), fields);
}
