//! A full disk: nothing more is sent, what was answered is kept, and with room again the run goes on.

use std::{path::PathBuf, process::Command};

use antiphon_testkit::{OutputLine, Sandbox, Sim, outputs};
use serde_json::json;

use crate::sandbox;

const CONCURRENCY: u64 = 16;
const ROWS: u64 = 1_200;

/// A file system of a few megabytes in memory; it is unmounted with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(sandbox: &Sandbox, size: &str) -> Option<Self> {
        let path = sandbox.path("disk");
        std::fs::create_dir(&path).unwrap();
        let mounted = mount(
            &[
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=0700"),
                "tmpfs",
            ],
            &path,
        );
        mounted.then_some(Self(path))
    }

    fn resize(&self, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], &self.0));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // the sandbox's folder cannot be removed while it is mounted
        let _unmounted = Command::new("umount").arg(&self.0).status();
    }
}

fn mount(args: &[&str], path: &PathBuf) -> bool {
    let status = Command::new("mount").args(args).arg(path).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let sandbox = sandbox();
    let Some(disk) = SmallDisk::mount(&sandbox, "8m") else {
        println!("SKIPPED: only root can mount a small disk");
        return;
    };
    let padding = "x".repeat(4_000);
    let rows = (0..ROWS).map(|number| {
        let line = json!({"custom_id": format!("c{number}"), "model": "small", "prompt": format!("question {number}"), "note": padding});
        format!("{line}\n")
    });
    sandbox.write("in.jsonl", rows.collect::<String>());
    let sim = Sim::start(&sandbox, ["--latency", "5ms"]);
    let command = || {
        let args = [
            "in.jsonl",
            "-o",
            "disk/out.jsonl",
            "--include-input",
            "--concurrency",
            "16",
        ];
        sim.run(&sandbox, args)
            .args(["--prompt", "{{ prompt }}", "-m", "small"])
    };
    let ended = command().run().exits(3);
    let told = ["disk is full", "No space left"]
        .iter()
        .any(|words| ended.stderr.contains(words));
    assert!(told, "{}", ended.stderr);
    let first = sim.settled().answered();
    assert!(
        (1..ROWS).contains(&first),
        "{first} answers before the disk was full"
    );
    // still full: nothing that cannot be kept is paid for
    command().run();
    let second = sim.settled().answered();
    assert!(second <= first + CONCURRENCY, "{second} after {first}");

    disk.resize("64m");
    command().run().exits(0);
    let lines = outputs(&sandbox.read("disk/out.jsonl"));
    let indexes: Vec<u64> = lines.iter().map(OutputLine::index).collect();
    assert_eq!(indexes, (0..ROWS).collect::<Vec<_>>());
    let answered = sim.settled().answered();
    println!("{first} answers before, {answered} in all for {ROWS} rows");
    assert!(
        answered <= ROWS + 2 * CONCURRENCY,
        "{answered} answers for {ROWS} rows"
    );
}

#[test]
fn a_full_disk_under_the_cache_fails_no_run() {
    let sandbox = sandbox();
    let Some(disk) = SmallDisk::mount(&sandbox, "256k") else {
        println!("SKIPPED: only root can mount a small disk");
        return;
    };
    let rows: String = (0..400).map(|n| format!("question {n}\n")).collect();
    sandbox.write("in.txt", rows);
    let sim = Sim::start(&sandbox, [""; 0]);
    let run = || {
        sim.reset();
        let ended = sim
            .run(&sandbox, ["in.txt", "-m", "x", "-o", "out.jsonl"])
            .args(["--cache", "--fresh"])
            .env("XDG_CACHE_HOME", &disk.0.to_string_lossy())
            .run()
            .exits(0)
            .says("400 succeeded");
        (ended, sim.settled().answered())
    };
    let (ended, calls) = run();
    let ended = ended.says("calls went on without it: the disk is full");
    assert_eq!(ended.stderr.matches("the cache").count(), 1, "told once");
    assert_eq!(calls, 400);
    disk.resize("64m");
    let (_, calls) = run();
    println!("{} answers were kept before the disk was full", 400 - calls);
    assert!((1..400).contains(&calls), "{calls}");
    assert_eq!(run().1, 0);
}
