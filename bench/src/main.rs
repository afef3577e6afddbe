//! Prints the figures that `docs/performance.md` quotes. Nothing here is a test: two shared cores have no absolute times.
//!
//! ```text
//! cargo run --release --manifest-path bench/Cargo.toml -- throughput [ROWS] [PAIRS]   antiphon and baseline in turn
//! cargo run --release --manifest-path bench/Cargo.toml -- memory [ROWS]               peak memory, 250-byte rows
//! cargo run --release --manifest-path bench/Cargo.toml -- flight [ROWS]               10,000 in flight, 1 s latency
//! cargo run --release --manifest-path bench/Cargo.toml -- limits                      use of --rpm and --tpm, 429s
//! cargo run --release --manifest-path bench/Cargo.toml -- estimate [JOBS] [FILE]      how often estimates hold (docs/estimate.md)
//! cargo run --release --manifest-path bench/Cargo.toml -- gateway [REQUESTS] [STREAMS] what the gateway adds to a call
//! ```
//! `ANTIPHON` names the binary (default: `target/release/antiphon`).

mod estimate;
mod gateway;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PORT: u16 = 18_089;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| {
        args.get(at)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    match args.first().map(String::as_str) {
        Some("throughput") => throughput(number(1, 200_000), number(2, 3)),
        Some("memory") => memory(number(1, 1_000_000)),
        Some("flight") => flight(number(1, 100_000)),
        Some("limits") => limits(),
        Some("estimate") => estimate::print(number(1, 200), args.get(2).map(Path::new)),
        Some("gateway") => gateway::print(number(1, 10_000) as usize, number(2, 2_000) as usize),
        _ => eprintln!("throughput | memory | flight | limits | estimate | gateway"),
    }
}

/// `antiphon run` against the bare loop, in turn, on the same input and server.
fn throughput(rows: u64, pairs: u64) {
    let folder = scratch();
    let input = write_rows(&folder, rows, 450);
    let _server = instant();
    let mut ratios = Vec::new();
    println!("{rows} rows of about 450 bytes, 64 in flight, instant server on loopback");
    for pair in 1..=pairs {
        let ours = timed(&mut antiphon_run(&folder, &input, &["--concurrency", "64"]));
        let theirs = timed(
            Command::new(sibling("baseline"))
                .arg(&input)
                .arg(folder.join("baseline.jsonl"))
                .args([&format!("http://127.0.0.1:{PORT}/v1"), "64"]),
        );
        let rate = |run: &Run| rows as f64 / run.wall.as_secs_f64();
        let ratio = rate(&ours) / rate(&theirs);
        println!(
            "pair {pair}: antiphon {:.0} rows/s ({:.1} us CPU a row, peak {} MB) · baseline {:.0} rows/s ({:.1} us, {} MB) · ratio {ratio:.2}",
            rate(&ours), ours.cpu_us(rows), ours.peak_mb, rate(&theirs), theirs.cpu_us(rows), theirs.peak_mb,
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ratios.len() / 2]);
}

fn memory(rows: u64) {
    let folder = scratch();
    let input = write_rows(&folder, rows, 250);
    let _server = instant();
    let run = timed(&mut antiphon_run(&folder, &input, &["--concurrency", "200"]));
    println!(
        "{rows} rows of about 250 bytes, 200 in flight: peak {} MB, {:.0} rows/s",
        run.peak_mb,
        rows as f64 / run.wall.as_secs_f64()
    );
}

/// The simulator with one second of latency: what counts is that 10,000 calls are out all the time.
fn flight(rows: u64) {
    let folder = scratch();
    let input = write_rows(&folder, rows, 250);
    let _sim = simulator(&["--latency", "1s"]);
    let report = folder.join("report.json");
    let run = timed(
        antiphon_run(&folder, &input, &["--concurrency", "10000", "--report"]).arg(&report),
    );
    let report = read_json(&report);
    println!(
        "{rows} rows, 10,000 in flight, 1 s latency: {:.0} rows/s (ideal 10,000), peak in flight {}, peak {} MB, {} failed",
        rows as f64 / run.wall.as_secs_f64(), report["peak_in_flight"], run.peak_mb, report["failed"]
    );
}

/// Limits that the server enforces in any 60 s, and how much of them is used in 90 s.
fn limits() {
    for (name, flag, limit, sizes) in [
        ("6,000 requests a minute", "--rpm", 6_000u64, &[450usize][..]),
        ("600,000 tokens a minute, rows of mixed size", "--tpm", 600_000, &[200, 20_000, 450, 4_000, 900]),
    ] {
        let folder = scratch();
        let input = folder.join("input.jsonl");
        let mut text = String::new();
        for index in 0..20_000 {
            row(&mut text, index, sizes[index as usize % sizes.len()]);
        }
        fs::write(&input, text).expect("input");
        let sim = simulator(&[flag, &limit.to_string(), "--window", "minute", "--latency", "200ms"]);
        let seconds = 90;
        let _ = timed(&mut antiphon_run(
            &folder,
            &input,
            &[flag, &limit.to_string(), "--deadline", &format!("{seconds}s")],
        ));
        let ledger = sim.ledger();
        let used = match flag {
            "--rpm" => ledger["max_in_any_60s"].as_f64(),
            _ => ledger["max_tokens_in_any_60s"].as_f64(),
        }
        .unwrap_or(0.0);
        let asked = ledger["asked"].as_f64().unwrap_or(0.0);
        let refused = ledger["rate_limited"].as_f64().unwrap_or(0.0);
        println!(
            "{name}: {:.1} % of the limit used in the busiest 60 s, {:.2} % of {asked} calls answered 429",
            used / limit as f64 * 100.0,
            refused / asked * 100.0
        );
    }
}

struct Run {
    wall: Duration,
    cpu: Duration,
    peak_mb: u64,
}

impl Run {
    fn cpu_us(&self, rows: u64) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / rows as f64
    }
}

/// Runs a command; CPU and peak memory are read from `/proc` while it runs.
fn timed(command: &mut Command) -> Run {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().expect("start");
    let (mut cpu, mut peak_mb) = (Duration::ZERO, 0);
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        (cpu, peak_mb) = usage(child.id()).unwrap_or((cpu, peak_mb));
        std::thread::sleep(Duration::from_millis(20));
    };
    // 3 is the end of a run with a deadline
    assert!(status.success() || status.code() == Some(3), "{status}");
    Run {
        wall: started.elapsed(),
        cpu,
        peak_mb,
    }
}

fn usage(pid: u32) -> Option<(Duration, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?;
    Some((Duration::from_millis(ticks * 10), peak / 1024))
}

fn antiphon_run(folder: &Path, input: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .arg("run")
        .arg(input)
        .args(["-m", "gpt-x", "--base-url", &format!("http://127.0.0.1:{PORT}/v1"), "--fresh", "-o"])
        .arg(folder.join("antiphon.jsonl"))
        .args(["--progress", "none", "--quiet"])
        .args(more);
    command
}

fn write_rows(folder: &Path, rows: u64, bytes: usize) -> PathBuf {
    let path = folder.join("input.jsonl");
    let mut text = String::new();
    for index in 0..rows {
        row(&mut text, index, bytes);
    }
    fs::write(&path, text).expect("input");
    path
}

fn row(text: &mut String, index: u64, bytes: usize) {
    let frame = r#"{"messages":[{"role":"user","content":""}]}"#.len();
    let mut prompt = format!("Question {index}:");
    while prompt.len() + frame < bytes {
        prompt.push_str(" how many eggs are left");
    }
    let _ = writeln!(text, r#"{{"messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
}

/// A process that ends with its owner.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn ledger(&self) -> serde_json::Value {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", PORT)).expect("ledger");
        stream
            .write_all(b"GET /sim/ledger HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n")
            .expect("ledger");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("ledger");
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("body").1).expect("JSON")
    }
}

fn instant() -> Server {
    serve(Command::new(sibling("instant")).arg(PORT.to_string()))
}

fn simulator(args: &[&str]) -> Server {
    let address = format!("127.0.0.1:{PORT}");
    serve(Command::new(binary()).args(["sim", "--json", "--listen", &address]).args(args))
}

fn binary() -> String {
    std::env::var("ANTIPHON").unwrap_or_else(|_| "target/release/antiphon".to_owned())
}

fn serve(command: &mut Command) -> Server {
    serve_on(command, PORT)
}

fn serve_on(command: &mut Command, port: u16) -> Server {
    let child = command.stdout(Stdio::null()).spawn().expect("server");
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    Server(child)
}

fn sibling(name: &str) -> PathBuf {
    std::env::current_exe().expect("path").with_file_name(name)
}

/// A scratch folder on the disk of the project: a memory file system would make syncing free.
fn scratch() -> PathBuf {
    let folder = PathBuf::from("target/bench-scratch");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("scratch");
    folder
}

fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).expect("report")).expect("JSON")
}
