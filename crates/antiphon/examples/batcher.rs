//! One call for many callers: `cargo run --example batcher`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::{collections::HashMap, time::Duration};

use antiphon::{
    ChatRequest, Error, ErrorKind, Schema, Session, SharedModel, generate_object,
    patterns::{DynamicBatcher, window},
};
use serde_json::json;

/// A label for each ticket, from one call.
async fn labels(model: SharedModel, tickets: &[String]) -> Result<Vec<String>, Error> {
    println!("one call for {} tickets", tickets.len());
    let schema = json!({
        "type": "object", "required": ["labels"],
        "properties": {"labels": {
            "type": "array", "minItems": tickets.len(), "maxItems": tickets.len(),
            "items": {"enum": ["bug", "wish", "praise"]},
        }},
    });
    let schema = Schema::new(schema);
    let schema = schema.map_err(|error| Error::new(ErrorKind::BadRequest, error.to_string()))?;
    let request = ChatRequest::from(format!("Label each line:\n{}", tickets.join("\n")));
    let request = request.with_schema(schema);
    let answer = generate_object::<HashMap<String, Vec<String>>>(&model, request).await?;
    Ok(answer.value.into_values().flatten().collect())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("[providers.sim]\nlatency = \"20ms\"")?;
    let model = session.model("sim/demo")?;

    let wait = Duration::from_millis(50);
    let labelled = DynamicBatcher::new(8, wait, move |tickets: Vec<String>| {
        let model = model.clone();
        async move {
            match labels(model, &tickets).await {
                Ok(labels) => labels.into_iter().map(Ok).collect(),
                Err(error) => tickets.iter().map(|_| Err(error.clone())).collect(),
            }
        }
    });
    let callers = (1..=20).map(|number| format!("Ticket {number}"));
    let mut answers = window(callers, 20.try_into()?, |_, ticket| async {
        (labelled.submit(ticket.clone()).await, ticket)
    });
    while let Some((_, (label, ticket))) = answers.next().await {
        println!("{ticket}: {}", label?);
    }
    Ok(())
}
