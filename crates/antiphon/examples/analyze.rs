//! Typed answers about each of some letters: `cargo run --example analyze`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{
    Session,
    patterns::{Analyze, Classify, Document, Extract, JudgeSentiment},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Session::from_toml("")?.model("sim/reader")?;
    let letters = || {
        [
            Document::new(
                "letter-1",
                "The lamp arrived in pieces. I want my 40 euros back.",
            ),
            Document::new("letter-2", "Thank you, the lamp is lovely. Anna"),
            Document::new("letter-3", ""),
        ]
    };

    let tones = Analyze::new(model.clone(), JudgeSentiment::default());
    for letter in tones.run(letters()).await? {
        match letter.outcome {
            Ok(it) => println!(
                "{}: {:?}, {:.2} sure",
                letter.id, it.sentiment, it.confidence
            ),
            Err(error) => println!("{}: failed: {error}", letter.id),
        }
    }
    let kind = Classify::new(["complaint", "praise", "other"])?;
    for letter in Analyze::new(model.clone(), kind).run(letters()).await? {
        let category = letter.outcome.map(|it| it.category);
        println!(
            "{}: category {}",
            letter.id,
            category.as_deref().unwrap_or("unknown")
        );
    }
    let kind = Extract::new(["name", "amount"])?;
    for letter in Analyze::new(model, kind).run(letters()).await? {
        if let Ok(fields) = letter.outcome {
            println!(
                "{}: name {:?}, amount {:?}",
                letter.id,
                fields.get("name"),
                fields.get("amount")
            );
        }
    }
    Ok(())
}
