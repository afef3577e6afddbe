//! `antiphon ask --stream`, and what ends an answer early.

use std::sync::{
    Mutex,
    mpsc::{Receiver, channel},
};

use antiphon_testkit::{Sandbox, Signal, Sim};

use crate::{scripted::Scripted, support::Scratch};

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_antiphon"))
}

/// A server that says a first piece, and the rest when it is told to.
fn in_two_pieces(go_on: Receiver<()>) -> Scripted {
    let go_on = Mutex::new(go_on);
    Scripted::new(move |_, line| {
        line.begin();
        line.piece("one ");
        let _told = go_on.lock().unwrap().recv();
        line.piece("two");
        line.end();
    })
}

#[test]
fn pieces_are_shown_as_they_come() {
    let (tell, told) = channel();
    let server = in_two_pieces(told);
    let args = [
        "ask",
        "x",
        "--stream",
        "-m",
        "m",
        "--base-url",
        server.url(),
    ];
    let sandbox = sandbox();
    let mut running = sandbox.antiphon(args).start();
    assert!(running.until(|running| running.stdout() == b"one "));
    tell.send(()).unwrap();
    let ended = running.wait().exits(0).says("m · ");
    assert_eq!(ended.stdout, b"one two\n");
    assert_eq!(server.bodies()[0]["stream"], true);
}

#[test]
fn several_are_shown_by_whole_lines_that_say_whose_they_are() {
    let (tell, told) = channel::<()>();
    let told = Mutex::new(told);
    let server = Scripted::new(move |body, line| {
        if body["model"] == "broken" {
            return line.fail(400, "no such thing");
        }
        line.begin();
        line.piece("one ");
        line.piece("two\nthr");
        if body["model"] == "slow-one" {
            let _told = told.lock().unwrap().recv();
        }
        line.piece("ee");
        line.end();
    });
    let names = ["-m", "slow-one", "-m", "fast", "-m", "broken"];
    let args = ["ask", "x", "--stream", "--base-url", server.url()];
    let sandbox = sandbox();
    let mut running = sandbox.antiphon(args).args(names).start();
    let first = [
        "broken   | failed: bad_request: no such thing",
        "fast     | one two",
        "fast     | three",
        "slow-one | one two",
    ];
    let shown = |running: &antiphon_testkit::Running| {
        let mut lines: Vec<String> = String::from_utf8_lossy(&running.stdout())
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    assert!(running.until(|running| shown(running) == first));
    tell.send(()).unwrap();
    let ended = running.wait().exits(1).says("1 of 3 models failed");
    assert!(ended.stdout.ends_with(b"\nslow-one | three\n"));
}

#[test]
fn a_stream_that_breaks_off_ends_its_line_and_says_why() {
    let server = Scripted::new(|_, line| {
        line.begin();
        line.piece("one ");
    });
    let args = [
        "ask",
        "x",
        "--stream",
        "-m",
        "m",
        "--base-url",
        server.url(),
    ];
    let ran = Scratch::new().antiphon(&args);
    ran.says(1, &["error: m: "]);
    assert_eq!(ran.out, "one \n");
}

#[test]
fn an_interrupt_drops_what_is_in_flight() {
    let sandbox = sandbox();
    sandbox.write("a.md", "text");
    // answers that take longer than any test waits
    let sim = Sim::start(&sandbox, ["--latency", "10m"]);
    let base_url = sim.base_url();
    let there = ["--base-url", &base_url, "-m", "a"];
    for (args, in_flight) in [
        (&["ask", "x", "-m", "b"][..], 2),
        (&["ask", "x", "-m", "b", "--stream"], 2),
        (&["vote", "x", "-m", "b", "--choices", "c,d"], 2),
        (&["review", "a.md"], 3),
    ] {
        for signal in Signal::ALL {
            let mut running = sandbox.antiphon(args).args(there).start();
            assert!(running.until(|_| sim.books().in_flight() == in_flight));
            running.signal(signal);
            let ended = running.wait().exits(130);
            assert_eq!(ended.stdout, b"", "{args:?}");
            sim.settled();
        }
    }
    assert_eq!(sim.settled().answered(), 0);
}

#[test]
fn a_reader_who_is_gone_ends_an_endless_answer_quietly() {
    let server = Scripted::new(|_, line| {
        line.begin();
        while line.piece("again\n") {}
    });
    let url = server.url();
    for models in ["-m m", "-m m -m n"] {
        let script = format!(
            "{{ $ANTIPHON ask x --stream {models} --base-url {url}; echo $? > code; }} | head -1"
        );
        let sandbox = sandbox();
        let ended = sandbox.shell(&script).run().exits(0);
        assert!(ended.stdout.ends_with(b"again\n"));
        assert_eq!(ended.stderr, "");
        assert_eq!(sandbox.read("code"), "0\n");
    }
}
