//! The fastest model, the next one, an answer in time: `cargo run --example race_and_fallback`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::{sync::Arc, time::Duration};

use antiphon::{
    Model, Session, SharedModel, SystemClock, generate_text,
    patterns::{Fallback, Race},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let named = |name: &str, settings: &str| -> Result<SharedModel, Box<dyn std::error::Error>> {
        let session = Session::from_toml(&format!("[providers.sim]\n{settings}"))?;
        Ok(session.model(name)?)
    };
    let quick = named("sim/quick", "latency = \"50ms\"")?;
    let slow = named("sim/slow", "latency = \"10s\"")?;
    let down = named("sim/down", "fail = [\"401=1\"]")?;
    let clock = SystemClock::shared();

    let race = Race::new("race", vec![slow.clone(), quick.clone()])?;
    // the second is asked when the first has taken longer than usual
    let hedged = Race::new("hedged", vec![slow.clone(), quick.clone()])?
        .with_stagger(Duration::from_millis(100), Arc::clone(&clock));
    let chain = Fallback::new("chain", vec![down.clone(), quick])?;
    let in_time = Fallback::new("in-time", vec![down, slow])?
        .with_time_limit(Duration::from_millis(100), clock)
        .with_rescue("Sorry, please try again later.");

    for model in [
        race.shared(),
        hedged.shared(),
        chain.shared(),
        in_time.shared(),
    ] {
        let reply = generate_text(&model, "Which river is the longest?").await?;
        println!("{}: {} answered: {reply}", model.name(), reply.head.model);
        for member in reply.members() {
            let end = member.error.as_ref();
            let end = end.map_or("answered".to_owned(), |error| {
                format!("{}: {}", error.code, error.message)
            });
            println!("    {}: {end}", member.model);
        }
    }
    Ok(())
}
