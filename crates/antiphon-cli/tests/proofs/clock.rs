//! The wall clock jumps while a run goes on: nothing but the dates of its log takes notice.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use antiphon_testkit::{Running, Sandbox, Sim, outputs};
use serde_json::json;

use crate::{inputs, sandbox};

const ROWS: u64 = 1_600;
/// Requests per second, and as many at once after a rest.
const RATE: u64 = 200;
/// What the wall clock says after each jump, measured by the real one.
const JUMPS: [&str; 4] = ["+1h", "-1h", "+10y", "-10y"];

/// Where `./test` puts the library that lies about the time.
fn libfaketime() -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let library = repository.join("target/tools/libfaketime.so");
    library.exists().then_some(library)
}

/// A wall clock that can be set, for the processes that are started with it.
struct WallClock {
    library: PathBuf,
    file: PathBuf,
}

impl WallClock {
    fn new(sandbox: &Sandbox, library: PathBuf) -> Self {
        let clock = Self {
            library,
            file: sandbox.path("wall-clock"),
        };
        clock.set("+0");
        clock
    }

    /// Renamed into place: a clock that is read while it is written would be torn.
    fn set(&self, offset: &str) {
        let aside = self.file.with_extension("new");
        fs::write(&aside, format!("{offset}\n")).unwrap();
        fs::rename(aside, &self.file).unwrap();
    }

    fn variables(&self) -> [(&str, &str); 4] {
        [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
    }
}

/// The years in which the run thinks that it wrote its log, one for each change.
fn years(stderr: &str) -> Vec<u32> {
    let told = stderr.lines().filter(|line| line.contains(" DEBUG "));
    let mut years: Vec<u32> = told.filter_map(|line| line[..4].parse().ok()).collect();
    years.dedup();
    years
}

/// Waits until the books say so; what the run has to say where it is over before.
fn until(running: &mut Running, mut holds: impl FnMut() -> bool) {
    let going_on = running.until(|_| holds());
    let said = running.stderr();
    assert!(going_on, "it ended: {:?}", said.lines().last());
}

/// Has the provider send somebody away until a date, and lets some answers come.
fn meets_a_date(running: &mut Running, sim: &Sim) {
    let met = || sim.books().faults("retry-after-date");
    let (before, answered) = (met(), sim.books().answered());
    sim.change(&json!({"fail": ["retry-after-date=1"]}));
    until(running, || met() > before);
    sim.change(&json!({"fail": []}));
    until(running, || sim.books().answered() >= answered + 60);
}

/// Each hour ahead would fill a quota that goes by the wall clock.
fn leaps_ahead(running: &mut Running, sim: &Sim, clock: &WallClock) {
    for hour in 1.. {
        clock.set(&format!("+{hour}h"));
        let next = sim.books().answered() + 40;
        if !running.until(|_| sim.books().answered() >= next) {
            return;
        }
    }
}

#[test]
fn a_wall_clock_that_jumps_changes_nothing() {
    let Some(library) = libfaketime() else {
        println!("SKIPPED: no target/tools/libfaketime.so, which ./test fetches where it can");
        return;
    };
    let sandbox = sandbox();
    let clock = WallClock::new(&sandbox, library);
    sandbox.write("in.jsonl", inputs::rows(ROWS));
    let rpm = (60 * RATE).to_string();
    let sim = Sim::start(&sandbox, ["--latency", "20ms", "--rpm", &rpm]);
    let args = ["in.jsonl", "-o", "out.jsonl", "--rpm", &rpm];
    let run = sim.run(&sandbox, args).env("ANTIPHON_LOG", "debug");
    let variables = clock.variables().into_iter();
    let run = variables.fold(run, |run, (name, value)| run.env(name, value));

    let mut running = run.start();
    until(&mut running, || sim.books().answered() >= 60);
    for jump in JUMPS {
        clock.set(jump);
        // a delay that was measured by the wrong clock would end the run, or never end itself
        meets_a_date(&mut running, &sim);
    }
    let (left, began) = (ROWS - sim.books().answered(), Instant::now());
    leaps_ahead(&mut running, &sim, &clock);
    let (took, ended) = (began.elapsed(), running.wait().exits(0));
    let years = years(&ended.stderr);
    println!("{left} rows in {took:.1?} after {years:?}");

    let lines = outputs(&sandbox.read("out.jsonl"));
    assert_eq!(lines.len() as u64, ROWS);
    assert!(lines.iter().all(|line| line.error_code().is_none()));
    assert_eq!(sim.settled().answered(), ROWS);
    // besides the rate: a second's worth at once, and what was on its way when the time was taken
    let least = (left - 2 * RATE) / RATE;
    assert!(took >= Duration::from_secs(least), "{left} in {took:?}");
    let span = years.iter().max().zip(years.iter().min());
    assert!(
        span.is_some_and(|(most, least)| most - least > 18),
        "the clock did not jump"
    );
}
