//! Answers shown side by side as they are written: `cargo run --example streams`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{
    Session,
    patterns::{Partial, multiplex},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("[providers.sim]\nlatency = \"300ms\"\njitter = 0.5")?;
    let questions = ["Of rivers", "Of mountains", "Of seas", "Of winds"];

    let mut texts = vec![String::new(); questions.len()];
    // at most three at once: the fourth begins when one has ended
    let mut pieces = multiplex(session.model("sim/demo")?, questions, 3.try_into()?);
    while let Some((index, piece)) = pieces.next().await {
        match piece {
            Partial::Text(text) => {
                print!("{index}:{} ", text.trim());
                texts[index] += &text;
            }
            Partial::Finished(reply) => {
                let tokens = reply.usage().unwrap_or_default().output_tokens;
                println!("\n--- {index} is whole after {tokens} tokens");
            }
            Partial::Failed(error) => println!("\n--- {index} failed: {error}"),
        }
    }
    for (question, text) in questions.iter().zip(texts) {
        println!("{question}: {text}");
    }
    Ok(())
}
