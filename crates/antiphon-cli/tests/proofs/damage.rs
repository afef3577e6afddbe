//! A bit flips in the ledger: it is never shown as an answer, and what it hit is redone.

use std::{fs, path::Path};

use antiphon_testkit::{Antiphon, OutputLine, Sandbox, Sim, outputs, seed};
use serde_json::{Value, json};

use crate::{inputs, sandbox};

const ROWS: u64 = 200;
/// Bytes of the file's own header, where a flip says something false of all of it.
const HEADER_BYTES: usize = 100;

fn flips() -> u64 {
    std::env::var("ANTIPHON_FLIPS").map_or(60, |flips| flips.parse().expect("a number of flips"))
}

fn lasting(sandbox: &Sandbox) -> Vec<Value> {
    let lines = outputs(&sandbox.read("out.jsonl"));
    lines.iter().map(OutputLine::lasting).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    let _absent = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn flip(path: &Path, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(path, bytes).unwrap();
}

/// What came of the flips.
#[derive(Debug, Default)]
struct Tally {
    redone: u64,
    salvaged: u64,
    stopped: u64,
}

/// A job at rest, from which every flip starts anew.
struct Specimen<'a> {
    sandbox: &'a Sandbox,
    sim: &'a Sim,
    expected: &'a [Value],
    /// The file of the state folder that is damaged.
    file: &'a str,
    tally: Tally,
}

impl Specimen<'_> {
    fn bits(&self) -> usize {
        let file = self.sandbox.path("sound").join(self.file);
        fs::metadata(file).unwrap().len() as usize * 8
    }

    fn survives(&mut self, bit: usize) {
        let (sandbox, state) = (self.sandbox, self.sandbox.path("out.jsonl.antiphon"));
        copy_folder(&sandbox.path("sound"), &state);
        flip(&state.join(self.file), bit);
        let _absent = fs::remove_file(sandbox.path("out.jsonl"));
        self.sim.reset();
        let mut ended = command(sandbox, self.sim).run();
        if ended.stderr.contains("the same command again goes on") {
            // a page that only a later read meets: it stops, and the same command goes on with what is left
            assert!(matches!(ended.code, Some(2 | 3)), "bit {bit}: {ended:?}");
            self.tally.stopped += 1;
            ended = command(sandbox, self.sim).run();
        }
        let calls = self.sim.settled().calls();
        assert_eq!(ended.code, Some(0), "bit {bit}: {}", ended.stderr);
        assert_eq!(lasting(sandbox), self.expected, "bit {bit}");
        let salvaged = state.join("ledger.damaged-1.db").exists();
        let told = ended.stderr.contains("the ledger was damaged");
        assert_eq!(told, salvaged, "bit {bit}: {}", ended.stderr);
        self.tally.salvaged += u64::from(salvaged);
        self.tally.redone += calls;
    }
}

fn command(sandbox: &Sandbox, sim: &Sim) -> Antiphon {
    sim.run(
        sandbox,
        ["in.jsonl", "-o", "out.jsonl", "--concurrency", "16"],
    )
}

#[test]
fn a_flipped_bit_is_never_shown_and_what_it_hit_is_redone() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(ROWS));
    let sim = Sim::start(&sandbox, [""; 0]);
    command(&sandbox, &sim).run().exits(0);
    let expected = lasting(&sandbox);
    copy_folder(&sandbox.path("out.jsonl.antiphon"), &sandbox.path("sound"));
    let mut specimen = Specimen {
        sandbox: &sandbox,
        sim: &sim,
        expected: &expected,
        file: "ledger.db",
        tally: Tally::default(),
    };
    let bits = specimen.bits();
    let mut dice = fastrand::Rng::with_seed(seed());
    for number in 0..flips() {
        specimen.survives(match number % 6 {
            0 => dice.usize(0..HEADER_BYTES * 8),
            _ => dice.usize(0..bits),
        });
    }
    println!(
        "{} flips in {} bytes: {:?}",
        flips(),
        bits / 8,
        specimen.tally
    );
    assert!(
        specimen.tally.redone > 0,
        "no flip hit anything: the proof proves nothing"
    );
}

#[test]
fn a_flipped_bit_in_what_a_killed_run_left_is_never_shown() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(ROWS));
    let sim = Sim::start(&sandbox, ["--latency", "10ms"]);
    let whole = ["in.jsonl", "-o", "whole.jsonl"];
    sim.run(&sandbox, whole).run().exits(0);
    fs::rename(sandbox.path("whole.jsonl"), sandbox.path("out.jsonl")).unwrap();
    let expected = lasting(&sandbox);
    sandbox.remove("out.jsonl");
    sim.reset();
    let mut running = command(&sandbox, &sim).start();
    running.until(|_| sim.books().answered() > ROWS / 2);
    assert!(running.kill());
    sim.change(&json!({"latency_ms": 0}));
    copy_folder(&sandbox.path("out.jsonl.antiphon"), &sandbox.path("sound"));
    let mut specimen = Specimen {
        sandbox: &sandbox,
        sim: &sim,
        expected: &expected,
        file: "ledger.db-wal",
        tally: Tally::default(),
    };
    let bits = specimen.bits();
    let mut dice = fastrand::Rng::with_seed(seed());
    for _ in 0..flips() / 3 {
        specimen.survives(dice.usize(0..bits));
    }
    println!(
        "{} flips in {} bytes: {:?}",
        flips() / 3,
        bits / 8,
        specimen.tally
    );
}

#[test]
fn a_ledger_that_is_no_ledger_is_put_aside_and_told() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(50));
    let sim = Sim::start(&sandbox, [""; 0]);
    let command = || command(&sandbox, &sim);
    command().run().exits(0);
    let expected = lasting(&sandbox);
    sandbox.write(
        "out.jsonl.antiphon/ledger.db",
        "this is no database at all, but a text that is long enough ".repeat(40),
    );
    command().run().exits(0).says("the ledger was damaged");
    assert_eq!(lasting(&sandbox), expected);
    assert_eq!(sim.settled().answered(), 100);
}

#[test]
fn a_file_cut_in_its_middle_keeps_what_is_left() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(ROWS));
    let sim = Sim::start(&sandbox, [""; 0]);
    let command = || command(&sandbox, &sim);
    command().run().exits(0);
    let expected = lasting(&sandbox);
    let path = sandbox.path("out.jsonl.antiphon/ledger.db");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
    sim.reset();
    command().run().exits(0).says("the ledger was damaged");
    assert_eq!(lasting(&sandbox), expected);
    let calls = sim.settled().calls();
    assert!(
        (1..ROWS).contains(&calls),
        "{calls} calls: what is left of the file must be used"
    );
}
