//! Single calls: a text, a value of a type, an answer as it is written: `cargo run --example objects`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::io::Write;

use antiphon::{
    ChatRequest, ErrorKind, Session, generate_object, generate_text, schemars::JsonSchema,
    stream_text,
};
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Review {
    /// Between 1 and 10.
    #[schemars(range(min = 1, max = 10))]
    score: u8,
    verdict: Verdict,
    /// Absent where there is nothing to mend.
    advice: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Keep,
    Return,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("[providers.sim]\nlatency = \"200ms\"")?;
    let model = session.model("sim/demo")?;

    let reply = generate_text(&model, "What is 17 + 25?").await?;
    println!("text:   {:?}", reply.text());
    println!("usage:  {:?}\n", reply.usage());
    let question = ChatRequest::from("It broke after a day.").with_system("You review lamps.");
    let review = generate_object::<Review>(&model, question.clone()).await?;
    let Review {
        score,
        verdict,
        advice,
    } = review.value;
    println!("object: {score} of 10, {verdict:?}, {advice:?}");
    match generate_object::<Review>(&model, question.with_max_tokens(2)).await {
        Err(error) if error.kind() == ErrorKind::CutOff => println!("cut:    {error}\n"),
        Err(error) => println!("failed: {error}\n"),
        Ok(_) => println!("short enough\n"),
    }

    let mut answer = stream_text(&model, "Why is the sky blue?");
    print!("stream: ");
    while let Some(delta) = answer.next().await {
        print!("{}|", delta?.text);
        std::io::stdout().flush()?;
    }
    println!();
    Ok(())
}
