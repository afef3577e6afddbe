//! One text from reports that no window holds: `cargo run --example map_reduce`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{
    Session,
    patterns::{Document, MapReduce},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("[providers.sim]\nlatency = \"50ms\"")?;

    let day = "The ship sailed on. The wind came from the west, and nobody saw land.\n";
    let reports: Vec<Document> = ["january", "february", "march", "april"]
        .into_iter()
        .zip([20, 400, 90, 60])
        .map(|(month, days)| Document::new(month, day.repeat(days)))
        .collect();

    let result = MapReduce::new(session.model("sim/reader")?, 2_000)
        .with_map("List what happened.")
        .with_reduce("Tell the whole voyage in a paragraph.")
        .with_max_output_tokens(200)
        .with_fan_in(4)
        .run(&reports)
        .await?;

    for document in &result.documents {
        println!("{:>9}: map calls {}", document.id, document.pieces.len());
    }
    println!("   levels: reduce calls {:?}", result.levels);
    let usage = result.spent.usage().unwrap_or_default();
    println!(
        "    spent: {} calls, {} tokens in, {} out\n",
        result.spent.calls, usage.input_tokens, usage.output_tokens
    );
    println!("{}", result.text);
    Ok(())
}
