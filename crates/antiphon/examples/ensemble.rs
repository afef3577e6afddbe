//! Several answers and one decision, in each of the ways: `cargo run --example ensemble`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::{sync::Arc, time::Duration};

use antiphon::{
    Model, Session, generate_object,
    patterns::ensemble::{Decider, Ensemble, EnsembleConfig, Majority},
    schemars::JsonSchema,
};

#[derive(serde::Deserialize, JsonSchema)]
struct Solution {
    answer: i64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("[providers.sim]\njitter = 0.9\naccuracy = 0.5\nseed = 4")?;
    let members = ["sim/a", "sim/b", "sim/c", "sim/d", "sim/e"].map(|name| session.model(name));
    let members = members.into_iter().collect::<Result<Vec<_>, _>>()?;
    let judge = session.model("sim/judge")?;
    let deciders = [
        Decider::Decide(judge.clone()),
        Decider::Judge {
            model: judge.clone(),
            swapped: true,
        },
        Decider::Synthesize(judge),
        Decider::Vote(Arc::new(Majority)),
    ];
    // members write their reasoning first, and whoever decides reads it
    let config = EnsembleConfig {
        pass_reasoning: true,
        ..EnsembleConfig::default()
    };
    for decider in deciders {
        let panel = Ensemble::new(members.clone(), decider, config.clone())?
            .with_quorum(4.try_into()?)
            .with_deadline(Duration::from_secs(1))
            .shared();
        let solution = generate_object::<Solution>(&panel, "What is 12 * 12 + 7?").await?;
        let decision = solution.reply.decision().cloned().unwrap_or_default();
        println!(
            "{}: {} out of {:?}",
            decision.by, solution.value.answer, decision.from
        );
        for member in solution.reply.members() {
            let end = member.error.as_ref().map(|error| &error.code);
            let said = member.text.as_ref().or(end).map_or("", String::as_str);
            println!("    {}: {said}", member.model);
        }
        if let Some(doubt) = decision.failure {
            println!("    {doubt}");
        }
    }
    Ok(())
}
