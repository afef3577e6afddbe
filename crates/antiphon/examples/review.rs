//! Four reviewers and what they say together: `cargo run --example review`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{
    Session,
    patterns::{Document, ReviewPanel, Role},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Session::from_toml("")?.model("sim/reviewer")?;

    let subject = Document::new("add.rs", "fn add(a: u8, b: u8) -> u8 { a + b }");
    let result = ReviewPanel::default()
        .with_role(Role::new(
            "style",
            "Look at names and at the order of things.",
        ))
        .review(&model, &subject)
        .await?;

    for review in &result.reviews {
        match &review.outcome {
            Ok(given) => println!(
                "{:>15}: {:>2}/10, {:?}",
                review.role, given.score, given.recommendation
            ),
            Err(error) => println!("{:>15}: failed: {error}", review.role),
        }
    }
    let sum = &result.aggregate;
    println!(
        "{:>15}: {:.1}/10, {:?}, {:.0} % agree",
        "together",
        sum.mean_score,
        sum.recommendation,
        100.0 * sum.agreement
    );
    for point in &sum.weaknesses {
        println!(
            "{:>15}: {} ({})",
            "weakness",
            point.text,
            point.roles.join(", ")
        );
    }
    if let Some(synthesis) = result.synthesis {
        println!("{:>15}: {}", "synthesis", synthesis?.summary);
    }
    Ok(())
}
