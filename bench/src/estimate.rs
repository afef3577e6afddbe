//! Replays simulated jobs whose end is known, and counts how often the estimate from a sample held.

#[path = "../../crates/antiphon-core/tests/estimate/jobs.rs"]
mod jobs;

use std::{fs, path::Path};

use fastrand::Rng;
use jobs::{Job, Lengths, Tally};

/// Rows of a job.
const ROWS: usize = 2_000;
/// Share of answers that are billed and asked for again.
const AGAIN: f64 = 0.05;
const SAMPLES: [usize; 3] = [20, 50, 100];

/// Prints the share of jobs whose cost was in the interval, and how wide that was in final costs. `file` holds lines with a
/// `question` and an `answer`, which become a job, too: a token is four bytes.
pub fn print(number: u64, file: Option<&Path>) {
    println!("{number} jobs of {ROWS} rows each, {:.0} % of the answers billed and asked for again", AGAIN * 100.0);
    let heads = SAMPLES.map(|sample| format!("{sample} rows sampled"));
    println!("{:<14}{:>22}{:>22}{:>22}", "answers", heads[0], heads[1], heads[2]);
    for lengths in Lengths::TOLD.into_iter().chain([Lengths::Rarest]) {
        let tallies = SAMPLES.map(|sample| {
            replay(number, sample, |dice, _| Job::simulated(lengths, ROWS, AGAIN, dice))
        });
        line(&format!("{lengths:?}"), &tallies);
    }
    if let Some(file) = file {
        let tokens = tokens_of(file);
        let tallies =
            SAMPLES.map(|sample| replay(number, sample, |dice, _| Job::of(&tokens, AGAIN, dice)));
        line("of the file", &tallies);
    }
    // every kind in turn, but for the rarest
    let tallies = SAMPLES.map(|sample| {
        replay(number, sample, |dice, job| {
            let lengths = Lengths::TOLD[job as usize % Lengths::TOLD.len()];
            Job::simulated(lengths, ROWS, AGAIN, dice)
        })
    });
    line("mixed", &tallies);
}

fn replay(number: u64, sample: usize, job: impl Fn(&mut Rng, u64) -> Job) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..number {
        let mut dice = Rng::with_seed(seed);
        let job = job(&mut dice, seed);
        let estimate = job.estimated(sample, &mut dice);
        tally.take(&job, &estimate);
    }
    tally
}

fn line(name: &str, tallies: &[Tally]) {
    print!("{name:<14}");
    for tally in tallies {
        let held = format!("{:.1} %", tally.coverage() * 100.0);
        print!("{:>22}", format!("{held}, width {:.2}", tally.width()));
    }
    println!();
}

fn tokens_of(file: &Path) -> Vec<(f64, f64)> {
    let text = fs::read_to_string(file).expect("the file");
    let rows = text.lines().map(|line| {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let tokens = |name: &str| (row[name].as_str().expect("a text").len() as f64 / 4.0).ceil();
        (tokens("question"), tokens("answer"))
    });
    rows.collect()
}
