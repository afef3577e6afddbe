//! Different answers to one question, and one question put in different ways: `cargo run --example variations`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{
    ChatRequest, Session, batch,
    patterns::{Variations, window},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("")?;
    let model = session.model("sim/demo")?;

    let request = ChatRequest::from("A headline about cats").with_temperature(1.0);
    let headlines = Variations::new(model.clone(), request, 4).run().await;
    for headline in headlines {
        match headline.result {
            Ok(reply) => println!("- {reply}"),
            Err(error) => println!("- failed: {error}"),
        }
    }

    // a batch for each cell of the table, four cells at once
    let rows = [
        "The lamp arrived in pieces.",
        "The lamp is lovely.",
        "No lamp came.",
    ];
    let prompts = ["Summarise: ", "In five words: "];
    let models = [model, session.model("sim/other")?];
    let cells = models
        .iter()
        .flat_map(|model| prompts.map(|prompt| (model, prompt)));
    let table = window(cells, 4.try_into()?, |_, (model, prompt)| async move {
        let asked = rows.map(|row| format!("{prompt}{row}"));
        (
            model.name(),
            prompt,
            batch(model.clone(), asked).run().await,
        )
    });
    println!(
        "\n{:<10} {:<16} {:>9} {:>7}",
        "model", "prompt", "succeeded", "tokens"
    );
    for (model, prompt, result) in table.settle().await {
        let tokens = result.usage().total();
        println!(
            "{model:<10} {prompt:<16} {:>9} {tokens:>7}",
            result.succeeded()
        );
    }
    Ok(())
}
