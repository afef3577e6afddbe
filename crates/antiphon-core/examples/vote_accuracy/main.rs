//! Prints how often single answers and votes are right, on a labelled set whose answers come from a seeded noisy model:
//! the tables of `docs/votes.md`.
//!
//! ```sh
//! cargo run -p antiphon-core --example vote_accuracy
//! ```

mod accuracy;
mod noisy;

#[tokio::main(flavor = "current_thread")]
#[expect(
    clippy::print_stdout,
    reason = "the tables are what this program is for"
)]
async fn main() {
    println!("{}", accuracy::by_field().await);
    println!("{}", accuracy::of_polls().await);
}
