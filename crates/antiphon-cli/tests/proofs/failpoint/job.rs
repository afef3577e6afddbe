//! One job that meets a failing write, and goes on.

use std::{collections::HashSet, fs, path::Path};

use antiphon_testkit::{
    Antiphon, Cause, Ended, FailPoint, Fault, OutputLine, Running, Sandbox, Sim, Write, outputs,
    seed, writes,
};
use serde_json::Value;

/// Calls in flight at once: what one failure may lose.
const CONCURRENCY: u64 = 16;

/// A job that an earlier run may have left something of, and whose next run meets the fault.
pub(super) struct Job<'a> {
    sandbox: &'a Sandbox,
    sim: &'a Sim,
    library: FailPoint,
    /// Folder of what an earlier run left: each try begins with a copy of it.
    before: &'static str,
    args: &'a [&'a str],
    expected: Vec<Value>,
    /// Answers that must be paid for, whatever an earlier run left.
    needed: u64,
}

/// What a run left that met the fault.
struct Met {
    ended: Ended,
    /// The writes that failed; none where the run was over before.
    failed: Vec<Write>,
    /// Calls sent after the failure.
    later_calls: u64,
    /// Whole answers handed over.
    answered: u64,
}

impl Met {
    fn stopped_well(&self, cause: Cause, what: &str) {
        let told = &self.ended.stderr;
        assert_eq!(self.ended.code, Some(3), "{what}");
        assert!(!told.contains("panicked"), "{what}");
        assert!(
            self.later_calls <= CONCURRENCY,
            "{} calls after {what}",
            self.later_calls
        );
        let is_named = self.failed.iter().any(|write| names(told, &write.file));
        assert!(is_named, "the file is not named: {what}");
        let says_why = cause.words.iter().any(|words| told.contains(words));
        assert!(says_why, "the cause is not named: {what}");
    }
}

impl<'a> Job<'a> {
    pub(super) fn new(
        sandbox: &'a Sandbox,
        sim: &'a Sim,
        before: &'static str,
        args: &'a [&'a str],
    ) -> Option<Self> {
        let Some(library) = FailPoint::compile(sandbox) else {
            println!("SKIPPED: no C compiler, or not Linux");
            return None;
        };
        let mut job = Self {
            sandbox,
            sim,
            library,
            before,
            args,
            expected: Vec::new(),
            needed: 0,
        };
        fs::create_dir(sandbox.path("uninterrupted")).unwrap();
        job.command("uninterrupted").run().exits(0);
        job.expected = job.output("uninterrupted");
        Some(job)
    }

    fn command(&self, folder: &str) -> Antiphon {
        let concurrency = CONCURRENCY.to_string();
        self.sim
            .run(
                self.sandbox,
                ["in.jsonl", "-o", &format!("{folder}/out.jsonl")],
            )
            .args(["--json", "--concurrency", &concurrency])
            .args(self.args)
    }

    fn text(&self, folder: &str) -> String {
        self.sandbox.read(&format!("{folder}/out.jsonl"))
    }

    fn output(&self, folder: &str) -> Vec<Value> {
        let lines = outputs(&self.text(folder));
        lines.iter().map(OutputLine::lasting).collect()
    }

    /// The folder as the earlier run left it.
    fn start_over(&self) {
        let folder = self.sandbox.path("job");
        let _first_time = fs::remove_dir_all(&folder);
        copy(&self.sandbox.path(self.before), &folder);
        self.sim.reset();
    }

    /// Writes of a run that meets no fault, and what it pays for.
    fn count_writes(&mut self) -> u64 {
        self.start_over();
        let command = self.command("job");
        let counted = self
            .library
            .before(command, &self.sandbox.path("job"), None);
        counted.run().exits(0);
        assert_eq!(self.output("job"), self.expected);
        self.needed = self.sim.settled().answered();
        self.library.writes().len() as u64
    }

    fn meet(&self, fault: Fault, cause: Cause) -> Met {
        self.start_over();
        let fault = Some((fault, cause));
        let command = self.command("job");
        let mut running: Running = self
            .library
            .before(command, &self.sandbox.path("job"), fault)
            .start();
        let mut asked_before = None;
        if running.until(Running::stands_still) {
            asked_before = Some(self.sim.settled().asked());
            running.go_on();
        }
        let ended = running.wait();
        let books = self.sim.settled();
        let writes = self.library.writes().into_iter();
        Met {
            ended,
            failed: writes.filter(|write| write.failed).collect(),
            later_calls: asked_before.map_or(0, |before| books.asked() - before),
            answered: books.answered(),
        }
    }

    /// One fault, and the run after it. Says whether the fault stopped the run.
    fn survives(&self, fault: Fault, cause: Cause) -> bool {
        let met = self.meet(fault, cause);
        let what = format!(
            "{fault:?}, errno {}, first {:?}, stderr:\n{}",
            cause.errno,
            met.failed.first(),
            met.ended.stderr
        );
        let stopped = met.ended.code != Some(0);
        if stopped {
            met.stopped_well(cause, &what);
        } else {
            // whatever failed, no answer and no line was lost with it, and the ledger works as it always does
            let ledger = fs::read(self.sandbox.path("job/out.jsonl.antiphon/ledger.db")).unwrap();
            assert_eq!(ledger[18], 2, "no log is written ahead: {what}");
            assert_eq!(self.output("job"), self.expected, "{what}");
        }
        self.goes_on(&met, &what);
        stopped
    }

    /// The same command with a sound disk.
    fn goes_on(&self, met: &Met, what: &str) {
        let shown = self.text("job");
        self.sim.reset();
        let after = self.command("job").run();
        let what = format!("{}\nafter {what}", after.stderr);
        assert_eq!(after.code, Some(0), "{what}");
        assert_eq!(self.output("job"), self.expected, "{what}");
        let answered = self.sim.settled().answered();
        let rest = self.expected.len() as u64 - succeeded(&met.ended);
        assert!(
            answered <= rest,
            "{answered} answers for {rest} rows that were not done: {what}"
        );
        let paid = met.answered + answered;
        assert!(
            paid <= self.needed + CONCURRENCY,
            "{paid} answers for {} rows: {what}",
            self.needed
        );
        if self.before == "nothing" {
            // what was shown is what is shown: same request, same time
            let text = self.text("job");
            let whole = shown.rfind('\n').map_or(0, |end| end + 1);
            let kept: HashSet<&str> = text.lines().collect();
            assert!(
                shown[..whole].lines().all(|line| kept.contains(line)),
                "{what}"
            );
        }
    }

    /// A sample of the writes, all of them where there are no more than asked for.
    pub(super) fn survives_all(&mut self, short: u64) {
        let all = self.count_writes();
        let mut dice = fastrand::Rng::with_seed(seed());
        let asked = writes(short);
        let numbers: Vec<u64> = if asked >= all {
            (1..=all).collect()
        } else {
            (0..asked).map(|_| dice.u64(1..=all)).collect()
        };
        let mut stopped = 0;
        for (turn, number) in numbers.iter().enumerate() {
            let cause = Cause::ALL[turn % 3];
            let fault = if dice.bool() {
                Fault::Once(*number)
            } else {
                Fault::From(*number)
            };
            stopped += u64::from(self.survives(fault, cause));
        }
        println!(
            "{stopped} of {} failing writes of {all} stopped the run",
            numbers.len()
        );
        assert!(stopped > 0, "no failure was met");
        // half a write is no failure: the rest is written by another
        let half = Fault::Short(dice.u64(1..=all));
        assert!(
            !self.survives(half, Cause::ALL[0]),
            "{half:?} stopped the run"
        );
    }
}

/// Rows that the run said were done.
fn succeeded(ended: &Ended) -> u64 {
    let mut lines = ended.stderr.lines().rev();
    let report = lines.find_map(|line| serde_json::from_str::<Value>(line).ok());
    report.map_or(0, |report| report["succeeded"].as_u64().unwrap_or(0))
}

/// Whether a message names a file. Its logs and marks are part of a ledger, and so is the one that it is salvaged from.
fn names(stderr: &str, file: &str) -> bool {
    let file = if file.starts_with("ledger.") {
        "ledger.db"
    } else {
        file
    };
    stderr.contains(file)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
