//! The same questions again cost nothing: `cargo run --example cache`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{Session, batch};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    for run in ["first", "second"] {
        let session = Session::from_toml("")?.cache_dir(folder.path());
        let questions = (1..=50).map(|number| format!("What is {number} + 1?"));
        let result = batch(session.model("sim/demo")?, questions)
            .max_concurrent(20)
            .run()
            .await;
        let summary = result.summary();
        println!(
            "{run} run: {} answers, {} of them at hand, {} tokens paid",
            summary.succeeded,
            summary.cached,
            summary.usage.total()
        );
        for note in session.cache_notes() {
            println!("    {note}");
        }
    }
    Ok(())
}
