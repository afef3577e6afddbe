//! No key of the gateway ever spends more than its budget of a day, however often the gateway is killed.
//!
//! Each key has a provider of its own, whose books show what it was billed. Billed is, to be on the safe side, every answer
//! handed over at its price, and every attempt whose end nobody saw at its worst case.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use antiphon_testkit::{Books, Running, Sandbox, Signal, Sim, kills, seed};
use serde_json::Value;

use crate::sandbox;

/// Picodollars for a token of `gpt-4o-mini`, read and written.
const PRICES: (u64, u64) = (150_000, 600_000);
/// The output cap of every call, and more than the bound of its input.
const TOKENS: u64 = 400;
/// The most that one attempt may cost, in picodollars.
const WORST: u64 = TOKENS * (PRICES.0 + PRICES.1);
/// Dollars of each key for a day.
const BUDGET: &str = "0.03";
const PICOS: f64 = 1e12;
/// Clients that ask at once with each key.
const CLIENTS: u64 = 6;
const KEYS: [&str; 2] = ["one", "two"];

/// A gateway between two keys and two providers.
struct Rig {
    sandbox: Sandbox,
    sims: [Sim; 2],
}

impl Rig {
    fn new() -> Self {
        let sandbox = sandbox();
        let options = [
            "--latency",
            "4ms",
            "--jitter",
            "0.9",
            "--fail",
            "reset=0.02",
        ];
        let sims = KEYS.map(|_| Sim::start(&sandbox, options));
        let mut config = String::new();
        for (name, sim) in KEYS.iter().zip(&sims) {
            config.push_str(&format!(
                "[providers.{name}]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
                 [prices.\"{name}/gpt-4o-mini\"]\nlike = \"openai/gpt-4o-mini\"\n\
                 [[keys]]\nname = \"{name}\"\nkey_env = \"KEY_OF_{}\"\nmodels = [\"{name}/*\"]\n\
                 budget_usd_per_day = {BUDGET}\n",
                sim.base_url(),
                name.to_uppercase()
            ));
        }
        sandbox.write("antiphon.toml", config);
        Self { sandbox, sims }
    }

    fn serve(&self) -> (Running, SocketAddr) {
        let args = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--json",
            "--data",
            "state",
        ];
        let mut command = self.sandbox.antiphon(args);
        for name in KEYS {
            let variable = format!("KEY_OF_{}", name.to_uppercase());
            command = command.env(&variable, &key_of(name));
        }
        let mut process = command.start();
        let up = process.until(|process| process.stdout().ends_with(b"\n"));
        assert!(up, "the gateway ended: {}", process.stderr());
        let told: Value = serde_json::from_slice(&process.stdout()).unwrap();
        (process, told["address"].as_str().unwrap().parse().unwrap())
    }

    fn billed(&self) -> [u64; 2] {
        [0, 1].map(|index| billed(&self.sims[index].settled()))
    }
}

fn key_of(name: &str) -> String {
    format!("key-of-{name}-0123456789")
}

/// In picodollars.
fn billed(books: &Books) -> u64 {
    let (input, output) = books.tokens();
    let unknown = books.unread() + books.faults("reset");
    input * PRICES.0 + output * PRICES.1 + unknown * WORST
}

/// What clients have seen.
#[derive(Debug, Default)]
struct Seen {
    answered: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

/// One call on a connection of its own; `None` where the gateway is gone.
fn call(address: SocketAddr, name: &str, number: u64) -> Option<String> {
    let stream = number.is_multiple_of(3);
    let body = format!(
        r#"{{"model":"{name}/gpt-4o-mini","max_tokens":{TOKENS},"stream":{stream},"messages":[{{"role":"user","content":"question {number}"}}]}}"#
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         authorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        key_of(name),
        body.len()
    );
    let mut connection = TcpStream::connect(address).ok()?;
    connection.write_all(request.as_bytes()).ok()?;
    if number % 17 == 5 {
        // hangs up before the answer has come
        thread::sleep(Duration::from_millis(number % 7));
        return Some(String::new());
    }
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).ok()?;
    (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).into_owned())
}

/// Clients of both keys, until the gateway is gone, they are stopped, or everything is refused.
fn clients(address: SocketAddr, round: u64) -> Vec<(Arc<Seen>, Vec<JoinHandle<()>>)> {
    let of_key = |name: &'static str| {
        let seen = Arc::new(Seen::default());
        let client = |client: u64| {
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                for number in 0.. {
                    let number = (round * CLIENTS + client) * 100_000 + number;
                    if seen.stop.load(Relaxed) {
                        return;
                    }
                    let Some(answer) = call(address, name, number) else {
                        return;
                    };
                    if answer.starts_with("HTTP/1.1 402") {
                        assert!(answer.contains("the next day begins"), "{answer}");
                        seen.refused.fetch_add(1, Relaxed);
                        return;
                    }
                    if answer.starts_with("HTTP/1.1 200") {
                        seen.answered.fetch_add(1, Relaxed);
                    }
                }
            })
        };
        let threads = (0..CLIENTS).map(client).collect();
        (seen, threads)
    };
    KEYS.map(of_key).into_iter().collect()
}

fn day() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs() / 86_400
}

#[test]
fn no_key_spends_more_than_its_budget_however_often_the_gateway_is_killed() {
    let rig = Rig::new();
    let first_day = day();
    // a test at midnight sees two days' money
    let most = |days: u64| (BUDGET.parse::<f64>().unwrap() * PICOS) as u64 * (1 + days);
    let within = |billed: [u64; 2]| {
        let most = most(day() - first_day);
        assert!(
            billed.iter().all(|billed| *billed <= most),
            "{billed:?} of {most}"
        );
    };
    let (times, seed) = (kills(10), seed());
    let mut hits = 0;
    for round in 0..times {
        let (mut gateway, address) = rig.serve();
        let asking = clients(address, round);
        let moment = seed.wrapping_add(round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        thread::sleep(Duration::from_millis(20 + moment % 180));
        hits += u64::from(gateway.kill());
        for (_, threads) in asking {
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        }
        within(rig.billed());
    }
    assert_eq!(hits, times);
    let killed = rig.billed();

    // and then to the end of the money
    let (mut gateway, address) = rig.serve();
    let mut answered = 0;
    for (seen, threads) in clients(address, times) {
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(seen.refused.load(Relaxed), CLIENTS);
        answered += seen.answered.load(Relaxed);
    }
    let ended = rig.billed();
    println!(
        "{times} kills: billed {killed:?}, then {ended:?} of {}, {answered} more answers",
        most(0)
    );
    within(ended);
    // a kill costs what was on its way, and a block or two of the ceiling
    let lost = (times + 1) * ((CLIENTS + 1) * WORST + most(0) / 100);
    assert!(
        ended.iter().all(|billed| billed + lost >= most(0)),
        "{ended:?}"
    );

    // what is spent stays spent after an orderly end
    gateway.signal(Signal::Terminate);
    gateway.wait().exits(0);
    let (_gateway, address) = rig.serve();
    if day() == first_day {
        let refused = call(address, KEYS[0], 1).unwrap();
        assert!(refused.starts_with("HTTP/1.1 402"), "{refused}");
        within(rig.billed());
    }
}

#[test]
fn one_gateway_at_a_time_keeps_the_books_of_a_folder() {
    let rig = Rig::new();
    let (_first, _) = rig.serve();
    let args = ["serve", "--listen", "127.0.0.1:0", "--data", "state"];
    let command = rig.sandbox.antiphon(args);
    let second = command
        .env("KEY_OF_ONE", &key_of("one"))
        .env("KEY_OF_TWO", &key_of("two"))
        .run()
        .exits(2);
    second.says("another antiphon is working in state");
    for (path, mode) in rig.sandbox.files() {
        let is_ours = path.starts_with(rig.sandbox.path("state"));
        assert!(!is_ours || mode & 0o077 == 0, "{} {mode:o}", path.display());
    }
}
