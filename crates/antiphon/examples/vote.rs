//! One of given answers, by vote: `cargo run --example vote`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{
    Session,
    patterns::vote::{Ballot, Poll, Rule, Ties},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("[providers.sim]\nlatency = \"50ms\"\njitter = 0.5")?;
    let voters = [
        "sim/a", "sim/b", "sim/c", "sim/d", "sim/e", "sim/f", "sim/g",
    ];
    let models = voters.map(|name| session.model(name)).into_iter();
    let models = models.collect::<Result<Vec<_>, _>>()?;

    let rules = [
        ("majority", Rule::majority()),
        (
            "by confidence, quorum of 3",
            Rule::by_confidence().with_quorum(3),
        ),
        (
            "majority, ties for nobody",
            Rule::majority().with_ties(Ties::NoWinner),
        ),
    ];
    for (name, rule) in rules {
        // four at once: as many as can settle a vote of seven
        let poll = Poll::new(models.clone(), ["spam", "ham"], rule)?.with_limit(4.try_into()?);
        let polled = poll
            .ask("Spam or ham? You have won a prize!".into())
            .await?;
        let vote = &polled.vote;
        let winner = vote.winner.as_deref().unwrap_or("nobody");
        println!("{name}: {winner} wins, {} calls saved", vote.calls_saved);
        for (voter, ballot) in voters.iter().zip(&polled.ballots) {
            match ballot {
                Ballot::Cast {
                    category,
                    confidence,
                    ..
                } => {
                    println!("    {voter}: {category}, {confidence:.2} sure");
                }
                Ballot::Failed(error) => println!("    {voter}: abstains: {error}"),
                Ballot::Cancelled => println!("    {voter}: was not waited for"),
            }
        }
    }
    Ok(())
}
