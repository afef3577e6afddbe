//! A provider that goes away, never was there, or sits behind a bad network.

use std::{net::TcpListener, thread::sleep, time::Duration};

use antiphon_testkit::{FaultProxy, OutputLine, Sim, Traffic, outputs, run_at};

use crate::{inputs, sandbox};

const CONCURRENCY: u64 = 16;
/// Failures in a row that show an outage at once.
const BURST: u64 = 8;
/// Probes of an outage of seconds; one goes out each 4 to 6 s in the end.
const PROBES: u64 = 12;

/// The most calls that an outage can meet, however slowly the machine runs. Each answer that was on its way when it
/// began may come back between two failures, and then they do not stand in a row: up to seven failures before each such
/// answer, eight after the last one, and whatever is out by then. After that one probe at a time.
const MOST_CALLS: u64 = CONCURRENCY * (BURST - 1) + BURST + CONCURRENCY + PROBES;

#[test]
fn an_outage_costs_no_row_and_no_attempt() {
    let rows = 800;
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(rows));
    let sim = Sim::start(&sandbox, ["--latency", "30ms"]);
    let args = ["in.jsonl", "-o", "out.jsonl", "--concurrency", "16"];
    let mut running = sim.run(&sandbox, args).start();
    assert!(running.until(|_| sim.books().answered() >= 100));
    sim.outage(true);
    assert!(running.until(|_| sim.books().outage_calls() >= BURST));
    sleep(Duration::from_secs(4));
    sim.outage(false);
    let calls = sim.books().outage_calls();
    running.wait().exits(0);
    println!("{calls} calls in an outage of 4 s");
    assert!(calls <= MOST_CALLS, "{calls} calls in the outage");
    let lines = outputs(&sandbox.read("out.jsonl"));
    assert_eq!(lines.len() as u64, rows);
    assert_eq!(sim.settled().answered(), rows);
    let told: u64 = lines.iter().map(OutputLine::attempts).sum();
    assert_eq!(told, rows + calls, "each attempt is told, and none besides");
}

#[test]
fn an_endpoint_that_is_not_there_stops_the_run() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(1_000));
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ended = run_at(
        &sandbox,
        &format!("http://{closed}/v1"),
        ["in.jsonl", "-o", "out.jsonl"],
    );
    ended.run().exits(3).says("unreachable").says("0 succeeded");
    assert_eq!(sandbox.read("out.jsonl"), "");
    let sim = Sim::start(&sandbox, [""; 0]);
    // the base URL is a part of what is asked: this is another job for the ledger, and all of it is sent
    sim.run(&sandbox, ["in.jsonl", "-o", "out.jsonl"])
        .run()
        .exits(0);
    assert_eq!(sim.settled().answered(), 1_000);
}

#[test]
fn a_bad_network_costs_no_row() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(2_000));
    let sim = Sim::start(&sandbox, ["--latency", "30ms"]);
    let proxy = FaultProxy::start(sim.address());
    let args = [
        "in.jsonl",
        "-o",
        "out.jsonl",
        "--concurrency",
        "16",
        "--timeout",
        "2s",
    ];
    let mut running = run_at(&sandbox, &proxy.base_url(), args).start();
    let weather = [
        Traffic::Pass,
        Traffic::CutAfter(5_000),
        Traffic::ResetAfter(7_000),
        Traffic::Delay(Duration::from_millis(20)),
        Traffic::Refuse,
        Traffic::ResetAfter(0),
        Traffic::Throttle(50_000),
        Traffic::HalfOpen,
    ];
    for traffic in weather {
        proxy.set(traffic);
        sleep(Duration::from_millis(350));
        assert!(!running.has_ended(), "it was over before {traffic:?}");
    }
    proxy.set(Traffic::Pass);
    running.wait().exits(0);
    let lines = outputs(&sandbox.read("out.jsonl"));
    assert_eq!(lines.len(), 2_000);
    assert!(proxy.connections() > 16, "connections were broken");
}
