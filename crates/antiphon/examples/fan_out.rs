//! Several views of one document, one of which fails: `cargo run --example fan_out`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{ChatRequest, Session, patterns::FanOut};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("[providers.sim]\nfail = [\"400=30%\"]\nseed = 4")?;
    let document = ChatRequest::from("The cache is now written behind the answer.")
        .with_system("You advise the owners of a web shop.");

    let views = FanOut::new(session.model("sim/demo")?, document)
        .with_view("technical", "Which technical risks does this have?")
        .with_view("business", "What does this change for the business?")
        .with_view("user", "What will users notice?")
        .with_view("legal", "Does any contract mention it?")
        .run()
        .await;

    for (name, outcome) in views.names.iter().zip(&views.result.outcomes) {
        match &outcome.result {
            Ok(reply) => println!("{name:>9}: {reply}"),
            Err(error) => println!("{name:>9}: failed: {}: {error}", error.kind()),
        }
    }
    println!("{:>9}: {:?}", "together", views.result.usage());
    Ok(())
}
