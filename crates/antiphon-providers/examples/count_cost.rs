//! What counting costs: the first count of a process, and microseconds a KB for each encoding and kind of text.
//!
//! ```sh
//! cargo run --release -p antiphon-providers --example count_cost
//! ```

#![allow(
    clippy::print_stdout,
    reason = "an example that prints its measurements"
)]

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use antiphon_core::{ChatRequest, Message, account::most_input_tokens, chat::Role};
use antiphon_providers::tokens::{Counter, Encoding};

const PROSE: &str = "Most of the rows that people send are short: a question, a review, a line of a log with something to find in it. ";
const CODE: &str = "    let total: u64 = rows.iter().filter(|row| !row.is_empty()).map(|row| row.len() as u64).sum();\n";
const CHINESE: &str =
    "人们发送的大多数行都很短：一个问题、一条评论，或者日志中需要查找内容的一行。";

fn main() {
    for encoding in [Encoding::O200k, Encoding::Cl100k] {
        let started = Instant::now();
        encoding.count("x");
        println!(
            "{encoding:?}: first count {:.0} ms",
            millis(started.elapsed())
        );
        for (name, text) in [("prose", PROSE), ("code", CODE), ("Chinese", CHINESE)] {
            let text = text.repeat(1_000_000 / text.len());
            let best = best_of(5, || {
                std::hint::black_box(encoding.count(&text));
            });
            let micros = best.as_secs_f64() * 1e6 / (text.len() as f64 / 1000.0);
            println!("{encoding:?}: {name} {micros:.1} us a KB");
        }
    }
    for hostile in ["a", " ", "\u{301}"] {
        let text = hostile.repeat(1_000_000 / hostile.len());
        let best = best_of(3, || {
            std::hint::black_box(Encoding::O200k.count(&text));
        });
        println!("O200k: 1 MB of {hostile:?} {:.0} ms", millis(best));
    }
    let row = |index: usize| {
        ChatRequest::new(vec![
            Message::text(Role::System, PROSE.repeat(20)),
            Message::text(Role::User, format!("{index}: {}", PROSE.repeat(4))),
        ])
    };
    let rows = 20_000;
    let counter = Counter::for_model("openai", "gpt-4o");
    let started = Instant::now();
    let count = counter.count_all((0..rows).map(row), NonZeroUsize::MIN);
    let micros = started.elapsed().as_secs_f64() * 1e6 / rows as f64;
    println!(
        "{rows} rows of 450 bytes with one system prompt of 2.3 KB: {micros:.1} us a row, {} tokens",
        count.tokens
    );
    let request = row(0);
    let bounds = best_of(5, || {
        for _ in 0..1000 {
            std::hint::black_box(most_input_tokens(std::hint::black_box(&request)));
        }
    });
    println!("upper bound: {:.0} ns a row", bounds.as_secs_f64() * 1e6);
}

fn best_of(rounds: usize, work: impl Fn()) -> Duration {
    let timed = |_| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    (0..rounds).map(timed).min().unwrap_or_default()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
