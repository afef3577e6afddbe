//! Many questions, some of which fail at first: `cargo run --example batch`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{Session, batch, batch_objects, schemars::JsonSchema};
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Sum {
    answer: i64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // a fifth of the calls is refused for good: what only looks bad for a moment is retried without a word
    let session = Session::from_toml(
        r#"
        [providers.sim]
        latency = "20ms"
        fail = ["400=20%", "429=2%"]
        accuracy = 1.0
        "#,
    )?;
    let model = session.model("sim/demo")?;
    let questions = || (1..=40).map(|number| format!("What is {number} + 1?"));

    let mut result = batch(model.clone(), questions())
        .max_concurrent(20)
        .on_progress(|done, total, _| {
            if done % 10 == 0 {
                println!("{done} of {total}");
            }
        })
        .run()
        .await;
    for (index, error) in result.failures().take(3) {
        println!("question {index}: {}: {error}", error.kind());
    }
    while result.failed() > 0 {
        println!("{} to be asked again", result.failed());
        result = result.retry_failed().await;
    }
    println!("{}", serde_json::to_string_pretty(&result.summary())?);

    // typed, and in the order of the questions as soon as each is there
    let mut sums = batch_objects::<Sum>(model, questions())?
        .max_concurrent(20)
        .ordered();
    while let Some(sum) = sums.next().await {
        match sum.result {
            Ok(sum) => print!("{} ", sum.value.answer),
            Err(_) => print!("? "),
        }
    }
    println!();
    Ok(())
}
