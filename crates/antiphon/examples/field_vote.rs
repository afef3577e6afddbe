//! Structured answers become one, field by field: `cargo run --example field_vote`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{
    ChatRequest, Schema, Session, generate_text,
    patterns::{vote::FieldVote, window},
    schemars::JsonSchema,
};

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Ticket {
    urgent: bool,
    priority: u8,
    team: Team,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum Team {
    Accounts,
    Network,
    Print,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("")?;
    let schema = Schema::of::<Ticket>()?;
    let question = ChatRequest::from("Ticket: nobody can log in!").with_schema(schema.clone());

    let voters = ["sim/a", "sim/b", "sim/c", "sim/d", "sim/e"];
    let mut answers = window(voters, 5.try_into()?, |_, voter| {
        let (model, question) = (session.model(voter), question.clone());
        async move { generate_text(&model?, question).await }
    })
    .ordered();
    let mut candidates = Vec::new();
    while let Some(answer) = answers.next().await {
        let (voter, answer) = (candidates.len(), answer?);
        println!("{}: {answer}", voters[voter]);
        candidates.push((voter, serde_json::from_str(answer.text())?));
    }
    let vote = FieldVote::new(&schema).with_tolerance(20.0)?;
    let verdict = vote.decide(&candidates)?;
    println!("elected: {}", verdict.value);
    for field in &verdict.agreement {
        println!("{:>9}: {:.0} % agree", field.path, 100.0 * field.share);
    }
    Ok(())
}
