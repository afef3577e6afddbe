//! A budget of dollars and a budget of bytes: `cargo run --example budgets`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{
    Session, Usage, batch,
    patterns::{ByteBudget, GroupedBatch, Grouping, Tier},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("[providers.sim]\nlatency = \"20ms\"")?;
    let model = session.model("sim/demo")?;

    let dollars = |in_million: f64| move |usage: &Usage| usage.total() as f64 * in_million / 1e6;
    let grouping = Grouping::new(2_000, 5).with_budget(0.015, dollars(20.0), dollars(0.5));
    let questions = (1..=20).map(|number| format!("A line about number {number}"));
    let result = GroupedBatch::new(model.clone(), session.model("sim/cheap")?, grouping)
        .with_usual_output(60)
        .run(questions)
        .await;
    for group in &result.groups {
        let model = match group.tier {
            Tier::Main => "sim/demo",
            Tier::Fallback => "sim/cheap",
        };
        println!(
            "requests {:?}: {model}, {} tokens",
            group.items,
            group.usage.total()
        );
    }
    println!("${:.4} of $0.015 spent\n", result.spent);

    let budget = ByteBudget::new(64 * 1024);
    let pages = (1..=40).map(|page| format!("Page {page}: {}", "text ".repeat(1000)));
    let result = batch(model, pages)
        .max_concurrent(40)
        .byte_budget(budget.clone())
        .run()
        .await;
    println!(
        "{} pages of 5 kB, never more than {} bytes at once",
        result.succeeded(),
        budget.peak()
    );
    Ok(())
}
