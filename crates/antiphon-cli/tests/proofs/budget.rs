//! What the provider's books say was billed never exceeds the budget, whatever fails and however often the run is killed.
//!
//! Billed is, to be on the safe side: every answer handed over at its price, and every attempt that met a failure after it
//! was sent, or whose caller went away, at its worst case.

use std::time::Duration;

use antiphon_testkit::{Antiphon, Books, CrashDriver, Sandbox, Sim, kills, outputs, rows, seed};
use serde_json::Value;

use crate::{inputs, sandbox};

/// Picodollars for a token of `gpt-4o-mini`, read and written.
const PRICES: (u64, u64) = (150_000, 600_000);
/// The output cap of every row.
const OUTPUT: u64 = 400;
/// More than the bound of any row's input.
const INPUT: u64 = 400;
/// The most that one attempt may cost, in picodollars.
const WORST: u64 = INPUT * PRICES.0 + OUTPUT * PRICES.1;
const PICOS: f64 = 1e12;
/// Calls in flight at once.
const CONCURRENCY: u64 = 16;

/// A job of so many rows of a model that has a price.
struct Job {
    sandbox: Sandbox,
    sim: Sim,
}

impl Job {
    fn new(rows: u64, options: &[&str]) -> Self {
        let sandbox = sandbox();
        sandbox.write(
            "in.jsonl",
            inputs::rows(rows).replace("small", "gpt-4o-mini"),
        );
        let sim = Sim::start(&sandbox, options);
        Self { sandbox, sim }
    }

    fn command(&self, args: &[&str]) -> Antiphon {
        let (cap, concurrency) = (OUTPUT.to_string(), CONCURRENCY.to_string());
        self.sim
            .run(&self.sandbox, ["in.jsonl", "-o", "out.jsonl"])
            .args(["--concurrency", &concurrency, "--report", "report.json"])
            .args(["--max-output-tokens", &cap])
            .args(args)
    }

    fn report(&self) -> Value {
        serde_json::from_str(&self.sandbox.read("report.json")).unwrap()
    }
}

/// In picodollars.
fn billed(books: &Books) -> u64 {
    let (input, output) = books.tokens();
    let unknown = books.unread() + books.faults("reset");
    input * PRICES.0 + output * PRICES.1 + unknown * WORST
}

fn picos(dollars: &str) -> u64 {
    (dollars.parse::<f64>().unwrap() * PICOS) as u64
}

fn dollars(report: &Value, name: &str) -> f64 {
    report[name].as_f64().unwrap()
}

#[test]
fn a_budget_is_used_and_never_exceeded_and_the_rest_goes_on_with_a_higher_one() {
    let job = Job::new(1500, &inputs::FAULTS);
    // one row's worst case is below a hundredth of it
    let budget = "0.04";
    assert!(WORST * 100 < picos(budget));
    let stopped = job.command(&["--budget", budget]).run().exits(3);
    let stopped = stopped
        .says("the budget of $0.04 is reached")
        .says("--budget 0.08");
    let books = job.sim.settled();
    let report = job.report();
    let used = dollars(&report, "cost_usd") + dollars(&report, "budget_held_usd");
    println!(
        "billed {} of {}, used {used}",
        billed(&books),
        picos(budget)
    );
    assert!(billed(&books) <= picos(budget), "{}", stopped.stderr);
    assert!((0.95 * 0.04..=0.04).contains(&used), "{used}");
    assert_eq!(report["failed"], 0);
    let finished = outputs(&job.sandbox.read("out.jsonl")).len() as u64;
    assert_eq!(report["succeeded"], finished);
    assert!(report["pending"].as_u64().unwrap() > 0);

    // the same again sends nothing more than still fits
    job.command(&["--budget", budget]).run().exits(3);
    assert!(billed(&job.sim.settled()) <= picos(budget));

    job.command(&["--budget", "1"]).run().exits(0);
    let books = job.sim.settled();
    assert_eq!(outputs(&job.sandbox.read("out.jsonl")).len(), 1500);
    assert!(books.answered() <= 1500 + books.faults("reset"));
    let report = job.report();
    assert!(dollars(&report, "job_cost_usd") > 0.038);
    let left = 1.0 - dollars(&report, "budget_left_usd");
    assert!(left * PICOS <= (billed(&books) + WORST) as f64, "{left}");
}

#[test]
fn a_run_that_is_killed_again_and_again_stays_within_its_budget() {
    let options = ["--latency", "8ms", "--jitter", "0.9"];
    let options: Vec<&str> = options.iter().chain(&inputs::FAULTS).copied().collect();
    let count = rows(1_500);
    let job = Job::new(count, &options);
    // enough for about half of the rows, and for what kills leave behind
    let times = kills(6);
    let budget = count as f64 * 36e-6 / 2.0 + times as f64 * 0.008;
    let budget = format!("{budget:.4}");
    let mut driver = CrashDriver::new(seed(), Duration::from_millis(700), count / times / 3 + 1);
    let mut ended = None;
    for _ in 0..times {
        ended = driver.crash(job.command(&["--budget", &budget]), &job.sim);
        let books = job.sim.settled();
        assert!(
            billed(&books) <= picos(&budget),
            "after {} kills",
            driver.kills()
        );
        if ended.is_some() {
            break;
        }
    }
    assert!(driver.kills() > 0, "no kill hit");
    if ended.is_none() {
        job.command(&["--budget", &budget]).run().exits(3);
    }
    let books = job.sim.settled();
    println!(
        "{} kills, {} answers, billed {} of {}",
        driver.kills(),
        books.answered(),
        billed(&books),
        picos(&budget)
    );
    assert!(billed(&books) <= picos(&budget));
    // a kill costs what was on its way, and a block or two of the ceiling
    let unused = picos(&budget) - billed(&books);
    let lost = (CONCURRENCY + 8 + 1) * WORST + picos(&budget) / 100;
    assert!(unused <= (driver.kills() + 1) * lost, "{unused} unused");
    // a run without a budget is free to go on, and is added for the next one
    job.command(&[]).run().exits(0);
    assert_eq!(outputs(&job.sandbox.read("out.jsonl")).len() as u64, count);
    let all = job.report();
    job.sandbox.write(
        "in.jsonl",
        "{\"model\":\"gpt-4o-mini\",\"prompt\":\"one more\"}\n",
    );
    let spent = format!("{:.6}", dollars(&all, "job_cost_usd"));
    job.command(&["--budget", &spent]).run().exits(3);
}
