//! A provider that goes away, never was there, or sits behind a bad network.

use std::{net::TcpListener, thread::sleep, time::Duration};

use antiphon_testkit::{FaultProxy, OutputLine, Sim, Traffic, outputs, run_at};

use crate::{inputs, sandbox};

const CONCURRENCY: u64 = 16;

#[test]
fn an_outage_costs_no_row_and_no_attempt() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(400));
    let sim = Sim::start(&sandbox, ["--latency", "30ms"]);
    let args = [
        "in.jsonl",
        "-o",
        "out.jsonl",
        "--max-retries",
        "10",
        "--concurrency",
        "16",
    ];
    let mut running = sim.run(&sandbox, args).start();
    assert!(running.until(|_| sim.books().answered() >= 100));
    sim.outage(true);
    sleep(Duration::from_secs(4));
    let calls = sim.books().outage_calls();
    sim.outage(false);
    running.wait().exits(0);
    println!("{calls} calls in an outage of 4 s");
    // those that were under way when it began, those that showed it, then one probe at a time
    assert!(calls >= 3, "{calls} calls: an outage is watched");
    assert!(calls <= 2 * CONCURRENCY + 12, "{calls} calls in the outage");
    let lines = outputs(&sandbox.read("out.jsonl"));
    assert_eq!(lines.len(), 400);
    assert_eq!(sim.settled().answered(), 400);
    let most = lines.iter().map(OutputLine::attempts).max();
    assert!(
        most <= Some(3),
        "attempts in an outage were counted: {most:?}"
    );
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
