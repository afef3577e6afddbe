//! What the gateway adds to a direct call: latency, time to the first token, processor time, memory of streams, and how
//! soon a caller who hangs up frees the call behind it.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{PORT, Server, binary, instant, simulator, usage};

const GATEWAY: u16 = 18_080;
/// Requests in a row to one side before the other has its turn.
const TURN: usize = 250;

/// Prints all figures.
pub fn print(requests: usize, streams: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
    runtime.block_on(async {
        added(requests).await;
        many(streams).await;
        hang_up().await;
    });
}

/// The gateway, with a limit and with prices, in front of the server that listens on [`PORT`].
fn gateway() -> Server {
    let folder = crate::scratch();
    let config = folder.join("antiphon.toml");
    let text = format!(
        "[providers.openai]\nbase_url = \"http://127.0.0.1:{PORT}/v1\"\nrpm = 100000000\ntpm = 1000000000000\nconcurrency = 4096\n"
    );
    std::fs::write(&config, text).expect("config");
    let mut command = Command::new(binary());
    command
        .args(["serve", "--json", "--listen", &format!("127.0.0.1:{GATEWAY}"), "--config"])
        .arg(&config)
        .args(std::env::var("SERVE_ARGS").unwrap_or_default().split_whitespace());
    crate::serve_on(&mut command, GATEWAY)
}

/// One request at a time, to both in turn.
async fn added(requests: usize) {
    let _server = instant();
    let gateway = gateway();
    for (what, streamed) in [("whole answers", false), ("streams, to the first token", true)] {
        let mut sides = [Side::new(PORT, streamed).await, Side::new(GATEWAY, streamed).await];
        for side in &mut sides {
            side.turn(TURN).await;
            side.times.clear();
        }
        let before = usage(gateway.0.id()).expect("usage").0;
        while sides[0].times.len() < requests {
            for side in &mut sides {
                side.turn(TURN).await;
            }
        }
        let cpu = usage(gateway.0.id()).expect("usage").0 - before;
        let [direct, through] = sides.map(Side::sorted);
        let cpu = cpu.as_secs_f64() * 1e6 / through.len() as f64;
        for (name, at) in [("p50", 0.5), ("p99", 0.99)] {
            let [direct, through] = [quantile(&direct, at), quantile(&through, at)];
            println!(
                "{what}, {name}: direct {direct:.0} us, through the gateway {through:.0} us, added {:.0} us",
                through - direct
            );
        }
        println!("{what}: {cpu:.0} us CPU of the gateway a request ({requests} requests, one at a time)");
    }
    let before = usage(gateway.0.id()).expect("usage").0;
    let started = Instant::now();
    let each = requests / 32;
    let tasks = (0..32).map(|_| {
        tokio::spawn(async move { Side::new(GATEWAY, false).await.turn(each).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("task");
    }
    let cpu = usage(gateway.0.id()).expect("usage").0 - before;
    println!(
        "32 at a time: {:.0} requests/s, {:.0} us CPU of the gateway a request",
        (each * 32) as f64 / started.elapsed().as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / (each * 32) as f64
    );
}

struct Side {
    stream: TcpStream,
    request: Vec<u8>,
    times: Vec<Duration>,
    buffer: Vec<u8>,
}

impl Side {
    async fn new(port: u16, streamed: bool) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, request: request(streamed), times: Vec::new(), buffer: Vec::with_capacity(64 << 10) }
    }

    async fn turn(&mut self, requests: usize) {
        for _ in 0..requests {
            let begun = Instant::now();
            self.stream.write_all(&self.request).await.expect("write");
            let mut first = None;
            self.buffer.clear();
            loop {
                assert!(self.stream.read_buf(&mut self.buffer).await.expect("read") > 0, "cut off");
                if first.is_none() && contains(&self.buffer, b"content\":\"S") {
                    first = Some(begun.elapsed());
                }
                if is_whole(&self.buffer) {
                    break;
                }
            }
            let is_stream = contains(&self.buffer, b"data: ");
            let took = if is_stream { first.expect("a first token") } else { begun.elapsed() };
            self.times.push(took);
        }
    }

    fn sorted(mut self) -> Vec<Duration> {
        self.times.sort();
        self.times
    }
}

fn request(streamed: bool) -> Vec<u8> {
    let prompt = "How many eggs are left? ".repeat(16);
    let body = format!(
        r#"{{"model":"gpt-4o-mini","stream":{streamed},"max_tokens":100,"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer none\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Whether an answer with a length or in chunks is here to its end.
fn is_whole(buffer: &[u8]) -> bool {
    let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
        Some(length) => buffer.len() >= head + 4 + length,
        None => buffer.ends_with(b"0\r\n\r\n"),
    }
}

fn contains(buffer: &[u8], needle: &[u8]) -> bool {
    buffer.windows(needle.len()).any(|window| window == needle)
}

fn quantile(sorted: &[Duration], at: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * at) as usize;
    sorted[index].as_secs_f64() * 1e6
}

/// So many streams at once, each of some seconds; all must end well.
async fn many(streams: usize) {
    let _sim = simulator(&["--latency", "10s"]);
    let gateway = gateway();
    // what one connection needs at all
    Side::new(GATEWAY, true).await;
    let resting = resident_kb(gateway.0.id());
    let tasks: Vec<_> = (0..streams)
        .map(|_| {
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", GATEWAY)).await.ok()?;
                stream.write_all(&request(true)).await.ok()?;
                let mut buffer = Vec::new();
                while !is_whole(&buffer) {
                    if stream.read_buf(&mut buffer).await.ok()? == 0 {
                        return None;
                    }
                }
                contains(&buffer, b"[DONE]").then_some(())
            })
        })
        .collect();
    let mut readings = Vec::new();
    for second in [3, 5, 7, 9] {
        tokio::time::sleep(Duration::from_secs(if second == 3 { 3 } else { 2 })).await;
        readings.push(format!("{:.1} kB at {second} s", (resident_kb(gateway.0.id()) - resting) as f64 / streams as f64));
    }
    let mut whole = 0;
    for task in tasks {
        whole += usize::from(task.await.expect("task").is_some());
    }
    println!("{streams} streams at once, each of 10 s: {} a stream, {} lost", readings.join(", "), streams - whole);
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A caller goes away in the middle of a stream.
async fn hang_up() {
    let sim = simulator(&["--latency", "60s"]);
    let _gateway = gateway();
    let mut times = Vec::new();
    for streamed in [true, false] {
        for _ in 0..10 {
            let mut stream = TcpStream::connect(("127.0.0.1", GATEWAY)).await.expect("connect");
            stream.write_all(&request(streamed)).await.expect("write");
            while sim.ledger()["in_flight"] != 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let begun = Instant::now();
            drop(stream);
            while sim.ledger()["in_flight"] != 0 {
                assert!(begun.elapsed() < Duration::from_secs(5), "the call behind goes on");
            }
            times.push(begun.elapsed());
        }
    }
    times.sort();
    println!("a caller hangs up, 10 streams and 10 whole answers: the call behind it is gone within {:.1} ms (longest)", times[times.len() - 1].as_secs_f64() * 1e3);
}
