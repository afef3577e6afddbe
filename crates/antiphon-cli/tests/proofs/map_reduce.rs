//! A map-reduce that is killed at any moment goes on: the text is the same, and nothing is paid twice but what was in
//! flight.

use std::time::Duration;

use antiphon_testkit::{
    Antiphon, Cause, CrashDriver, FailPoint, Fault, Running, Sandbox, Signal, Sim, kills, rows,
    seed, writes,
};

use crate::{inputs, sandbox};

/// Calls in flight at once: what one kill may lose.
const CONCURRENCY: u64 = 12;

/// Documents, of which some are equal and one is longer than the window.
fn documents(sandbox: &Sandbox, count: u64) {
    let lines: String = (0..count)
        .map(|number| {
            format!(
                "{{\"id\":\"d{number}\",\"text\":\"Report {}. All is well.\"}}\n",
                number % 150
            )
        })
        .collect();
    sandbox.write("many.jsonl", lines);
    let long: String = (0..400)
        .map(|number| format!("Paragraph {number} says what happened.\n\n"))
        .collect();
    sandbox.write("long.md", long);
}

fn command(sandbox: &Sandbox, sim: &Sim, output: &str) -> Antiphon {
    let concurrency = CONCURRENCY.to_string();
    sandbox
        .antiphon(["map-reduce", "many.jsonl", "long.md", "-o", output])
        .args([
            "--map",
            "List what happened.",
            "--reduce",
            "Combine it.",
            "--fan-in",
            "6",
        ])
        .args([
            "--window",
            "2400",
            "--max-output-tokens",
            "300",
            "--progress",
            "none",
        ])
        .args([
            "-m",
            "m",
            "--base-url",
            &sim.base_url(),
            "--concurrency",
            &concurrency,
        ])
        .env("OPENAI_API_KEY", "key-of-the-sandbox")
}

#[test]
fn a_killed_map_reduce_gives_the_same_text_and_pays_nothing_twice() {
    let sandbox = sandbox();
    documents(&sandbox, rows(300));
    let options = ["--latency", "10ms", "--jitter", "0.9"];
    let sim = Sim::start(&sandbox, options.iter().chain(&inputs::FAULTS));
    command(&sandbox, &sim, "uninterrupted.md").run().exits(0);
    let paid = sim.settled().answered();
    sim.reset();

    let times = kills(6);
    let mut driver = CrashDriver::new(seed(), Duration::from_millis(500), paid / times + 1);
    for _ in 0..times {
        if driver
            .crash(command(&sandbox, &sim, "out.md"), &sim)
            .is_some()
        {
            break;
        }
        let text = sandbox.read("out.md");
        assert!(
            text.is_empty() || text == sandbox.read("uninterrupted.md"),
            "half a text"
        );
    }
    assert!(driver.kills() > 0, "no kill hit");
    command(&sandbox, &sim, "out.md").run().exits(0);
    let extra = sim.settled().answered() as i64 - paid as i64;
    println!(
        "{paid} calls, {} kills, {extra} extra answers",
        driver.kills()
    );
    assert!(
        extra <= (driver.kills() * CONCURRENCY) as i64,
        "{extra} answers were paid twice"
    );
    assert_eq!(sandbox.read("out.md"), sandbox.read("uninterrupted.md"));

    sim.reset();
    command(&sandbox, &sim, "out.md").run().exits(0);
    assert_eq!(sim.books().calls(), 0);
}

#[test]
fn a_signal_waits_for_what_is_in_flight_and_no_answer_is_lost() {
    let sandbox = sandbox();
    documents(&sandbox, 120);
    let sim = Sim::start(&sandbox, ["--latency", "40ms", "--jitter", "0.5"]);
    command(&sandbox, &sim, "uninterrupted.md").run().exits(0);
    let paid = sim.settled().answered();
    for (index, signal) in Signal::ALL.into_iter().enumerate() {
        sim.reset();
        let output = format!("out-{index}.md");
        let mut running = command(&sandbox, &sim, &output).start();
        assert!(running.until(|_| sim.books().answered() >= 30));
        // its folder is in use
        let refused = command(&sandbox, &sim, &output).run().exits(2);
        refused.says("another antiphon is working in");
        running.signal(signal);
        running
            .wait()
            .exits(130)
            .says("interrupted")
            .says("to go on:");
        let so_far = sim.settled().answered();
        assert!(so_far < paid, "it was interrupted in its middle");
        assert_eq!(sandbox.read(&output), "");
        command(&sandbox, &sim, &output)
            .run()
            .exits(0)
            .says("in earlier runs");
        assert_eq!(sim.settled().answered(), paid, "nothing is paid twice");
        assert_eq!(sandbox.read(&output), sandbox.read("uninterrupted.md"));
    }
}

/// Whatever write of the state folder or the output fails: nothing goes on that is not kept.
#[test]
fn a_disk_that_fails_stops_it_and_the_same_command_goes_on() {
    let sandbox = sandbox();
    documents(&sandbox, 40);
    let sim = Sim::start(&sandbox, ["--latency", "5ms", "--jitter", "0.5"]);
    let Some(failpoint) = FailPoint::compile(&sandbox) else {
        println!("skipped: no C compiler");
        return;
    };
    let folder = |name: &str| {
        let folder = sandbox.path(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    let sound = folder("sound");
    let run = command(&sandbox, &sim, "sound/out.md");
    failpoint.before(run, &sound, None).run().exits(0);
    let expected = sandbox.read("sound/out.md");
    let paid = sim.settled().answered();
    let all = failpoint.writes().len() as u64;

    let times = writes(8).min(all);
    let mut met = 0;
    for (number, place) in (0..times)
        .map(|index| 1 + index * (all - 1) / times.max(1))
        .enumerate()
    {
        let cause = Cause::ALL[number % Cause::ALL.len()];
        let name = format!("failing-{number}");
        let below = folder(&name);
        let output = format!("{name}/out.md");
        sim.reset();
        let run = command(&sandbox, &sim, &output);
        let run = failpoint.before(run, &below, Some((Fault::From(place), cause)));
        let mut running = run.start();
        if running.until(Running::stands_still) {
            met += 1;
            let asked = sim.books().asked();
            running.go_on();
            let ended = running.wait();
            // what is tidied up after the last answer was kept takes no text away
            let text = match ended.code {
                Some(0) => expected.as_str(),
                Some(2 | 3) => "",
                _ => panic!("write {place}: {ended:?}"),
            };
            assert_eq!(sandbox.read(&output), text, "write {place}");
            assert!(
                sim.settled().asked() <= asked + CONCURRENCY,
                "calls went on after write {place} had failed"
            );
        }
        command(&sandbox, &sim, &output).run().exits(0);
        assert_eq!(sandbox.read(&output), expected);
        let extra = sim.settled().answered() as i64 - paid as i64;
        assert!(
            extra <= CONCURRENCY as i64,
            "write {place}: {extra} paid twice"
        );
    }
    assert!(met > 0, "no write failed");
    println!("{all} writes, {met} of them failed");
}
