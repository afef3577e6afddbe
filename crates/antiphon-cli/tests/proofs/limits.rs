//! Limits are used and not overrun: counted at a provider that enforces them over a real minute.

use antiphon_testkit::Sim;
use serde_json::json;

use crate::{inputs, sandbox};

/// Seconds that a run may go on.
const SECONDS: u64 = 14;

#[test]
fn requests_per_minute_are_used_and_never_overrun() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(1_000));
    let sim = Sim::start(
        &sandbox,
        ["--rpm", "600", "--window", "minute", "--latency", "50ms"],
    );
    let deadline = format!("{SECONDS}s");
    let args = [
        "in.jsonl",
        "-o",
        "out.jsonl",
        "--rpm",
        "600",
        "--deadline",
        &deadline,
    ];
    sim.run(&sandbox, args).run().exits(3);
    let books = sim.settled();
    let seconds = books.calls_per_second();
    let whole: u64 = seconds.iter().skip(1).take(SECONDS as usize - 2).sum();
    let allowed = 10 * (SECONDS - 2);
    println!(
        "{whole} of {allowed} calls, {} answers 429, by second {seconds:?}",
        books.rate_limited()
    );
    assert!(
        books.rate_limited() * 200 < books.asked(),
        "{} answers 429",
        books.rate_limited()
    );
    assert!(whole * 100 >= allowed * 93, "{whole} of {allowed}");
}

#[test]
fn tokens_per_minute_are_never_overrun_by_mixed_sizes() {
    let sandbox = sandbox();
    let rows = (0..2_000_u64).map(|number| {
        // 10 to some 1,000 tokens
        let words = "word ".repeat(if number % 7 == 0 {
            800
        } else {
            number as usize % 50
        });
        let line =
            json!({"model": "small", "prompt": format!("{number} {words}"), "max_tokens": 200});
        format!("{line}\n")
    });
    sandbox.write("in.jsonl", rows.collect::<String>());
    let sim = Sim::start(
        &sandbox,
        ["--tpm", "60000", "--window", "minute", "--latency", "50ms"],
    );
    let deadline = format!("{SECONDS}s");
    let args = [
        "in.jsonl",
        "-o",
        "out.jsonl",
        "--tpm",
        "60000",
        "--deadline",
        &deadline,
    ];
    sim.run(&sandbox, args).run().exits(3);
    let books = sim.settled();
    let tokens = books.max_tokens_in_any_60s();
    let allowed = 1_000 * SECONDS;
    println!(
        "{tokens} of {allowed} tokens, {} of {} answers 429",
        books.rate_limited(),
        books.asked()
    );
    assert!(
        books.rate_limited() * 200 < books.asked().max(200),
        "{} answers 429",
        books.rate_limited()
    );
    assert!(tokens <= 60_000);
    assert!(tokens * 100 >= allowed * 60, "{tokens} of {allowed} tokens");
}
