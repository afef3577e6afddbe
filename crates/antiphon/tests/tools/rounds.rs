//! Tools whose calls are made again from their beginning, as in the newer era of the protocol: a client answers all
//! questions of a round, and finds what it has said before by its content and sample.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon::{
    Error,
    core::{BoxFuture, ChatRequest, ChatResponse, Model, SharedModel, layers::queue::Queue},
    tools::Call,
};
use serde_json::{Value, json};

use crate::support::{Client, bare_tools, documents, told, used};

/// Answers what it was asked in an earlier round, and keeps the rest waiting.
#[derive(Debug)]
struct Rounds {
    client: Arc<Client>,
    answered: Mutex<HashMap<String, ChatRequest>>,
    waiting: Mutex<Vec<ChatRequest>>,
}

impl Model for Rounds {
    fn name(&self) -> &str {
        "client"
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let known = self.answered.lock().unwrap().contains_key(&told(&request));
            if !known {
                self.waiting.lock().unwrap().push(request);
                return std::future::pending().await;
            }
            Model::call(&*self.client, request).await
        })
    }
}

/// In how many rounds a tool comes to its end, and what it gives.
async fn rounds(name: &str, arguments: &Value) -> (usize, Value) {
    let model = Arc::new(Rounds {
        client: Arc::new(Client::new()),
        answered: Mutex::default(),
        waiting: Mutex::default(),
    });
    let tools = bare_tools();
    for round in 0..20 {
        let call = Call::with_model(Ok(Arc::clone(&model) as SharedModel));
        let using = used(&tools, name, arguments.clone(), call);
        // the clock stands still: it is over when nothing goes on
        if let Ok(done) = tokio::time::timeout(Duration::from_secs(1), using).await {
            return (round, done.unwrap());
        }
        let waiting = std::mem::take(&mut *model.waiting.lock().unwrap());
        assert!(!waiting.is_empty(), "{name} waits for nobody");
        let mut answered = model.answered.lock().unwrap();
        for request in waiting {
            let before = answered.insert(told(&request), request);
            assert!(before.is_none(), "{name}: no two questions are the same");
        }
    }
    panic!("{name} does not come to an end");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_made_again_gets_on_with_every_round() {
    for (name, arguments, expected) in [
        ("ask", json!({"prompt": "Why?"}), 1),
        ("ensemble", json!({"prompt": "Why?", "n": 5}), 2),
        (
            "ensemble",
            json!({"prompt": "Why?", "n": 5, "decider": "judge"}),
            2,
        ),
        (
            "ensemble",
            json!({"prompt": "Why?", "n": 5, "decider": "vote"}),
            1,
        ),
        (
            "map_reduce",
            json!({"documents": documents(9), "map": "m", "reduce": "r"}),
            2,
        ),
        (
            "map_reduce",
            json!({"documents": documents(30), "map": "m", "reduce": "r"}),
            3,
        ),
        (
            "analyze_documents",
            json!({"documents": documents(30), "kind": "sentiment"}),
            1,
        ),
        (
            "review",
            json!({"documents": documents(30), "question": "q"}),
            2,
        ),
        (
            "review",
            json!({"documents": documents(70), "question": "q"}),
            3,
        ),
    ] {
        let (number, result) = rounds(name, &arguments).await;
        assert_eq!(number, expected, "{name}");
        let tools = bare_tools();
        let client = Arc::new(Client::new());
        let at_once = used(&tools, name, arguments, client.call()).await.unwrap();
        if at_once["decision"]["by"] != "vote" {
            assert_eq!(result, at_once, "{name}");
        }
    }
}

#[tokio::test]
async fn a_client_that_bears_one_call_is_asked_one_by_one_and_in_order() {
    let tools = bare_tools();
    let client = Arc::new(Client::new());
    let queue = Queue::new(NonZeroU32::MIN);
    let model = queue.around(Arc::clone(&client) as SharedModel);
    let arguments = json!({"documents": documents(20), "kind": "summary"});
    let call = Call::with_model(Ok(model));
    used(&tools, "analyze_documents", arguments, call)
        .await
        .unwrap();
    assert_eq!(client.peak(), 1);
    for (index, asked) in client.asked().iter().enumerate() {
        assert!(asked.contains(&format!("number-{index},")), "{asked}");
    }
}
