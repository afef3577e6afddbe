//! Keys stay out of every file and every word; text of others never drives the terminal; files are private.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use antiphon_testkit::{Ended, Sandbox, Sim, outputs, run_at};
use serde_json::json;

use crate::{inputs, sandbox};

const CANARY: &str = "sk-canary-7f3a9d51c0de";

/// A server that answers every request with this status, quoting the key it was sent, and escape sequences. The second
/// value says how often it was sent the canary.
fn gossip(status: u16) -> (SocketAddr, Arc<AtomicU64>) {
    let heard = Arc::new(AtomicU64::new(0));
    let ear = heard.clone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let ear = ear.clone();
            thread::spawn(move || {
                let mut asked = [0; 8192];
                // a short request comes in one piece
                let count = stream.read(&mut asked).unwrap_or(0);
                let text = String::from_utf8_lossy(&asked[..count]).into_owned();
                let key = text
                    .lines()
                    .find_map(|line| line.split_once("earer "))
                    .map_or("", |(_, key)| key);
                ear.fetch_add(u64::from(key == CANARY), Relaxed);
                let message = format!(
                    "\u{1b}]52;c;AAAA\u{7}\u{1b}[2JIncorrect API key provided: {key}.\u{202e}\u{9b}31m"
                );
                let body = json!({"error": {"message": message, "type": "invalid_request_error", "code": null}}).to_string();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                // the client may have gone away
                let _sent = stream
                    .write_all(head.as_bytes())
                    .and_then(|()| stream.write_all(body.as_bytes()));
            });
        }
    });
    (address, heard)
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}

fn keeps_the_secret(sandbox: &Sandbox, ended: &Ended) {
    assert!(!holds(&ended.stdout, CANARY));
    assert!(!ended.stderr.contains(CANARY), "{}", ended.stderr);
    for (path, _) in sandbox.files() {
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!holds(&bytes, CANARY), "the key is in {}", path.display());
        }
    }
}

fn drives_no_terminal(ended: &Ended) {
    let bad: Vec<char> = ended
        .stderr
        .chars()
        .filter(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || *c == '\u{202e}')
        .collect();
    assert_eq!(bad, [], "{:?}", ended.stderr);
}

#[test]
fn a_key_is_nowhere_and_files_are_private() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(50));
    let sim = Sim::start(&sandbox, ["--fail", "500=0.1"]);
    let args = ["in.jsonl", "-o", "out.jsonl", "--report", "report.json"];
    let ended = sim
        .run(&sandbox, args)
        .env("OPENAI_API_KEY", CANARY)
        .run()
        .exits(0);
    keeps_the_secret(&sandbox, &ended);
    for (path, mode) in sandbox.files() {
        let is_state = path
            .components()
            .any(|part| part.as_os_str() == "out.jsonl.antiphon");
        if is_state {
            let private = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, private, "{}", path.display());
        }
    }
}

#[test]
fn a_key_that_the_provider_quotes_is_nowhere() {
    for (status, code) in [(401, 3), (400, 1), (500, 1)] {
        let sandbox = sandbox();
        sandbox.write("in.jsonl", inputs::rows(3));
        let (address, heard) = gossip(status);
        let base_url = format!("http://{address}/v1");
        let args = ["in.jsonl", "-o", "out.jsonl", "--max-retries", "0"];
        let ended = run_at(&sandbox, &base_url, args)
            .env("OPENAI_API_KEY", CANARY)
            .run()
            .exits(code);
        assert!(
            heard.load(Relaxed) > 0,
            "the key was sent, so it could be quoted"
        );
        keeps_the_secret(&sandbox, &ended);
        drives_no_terminal(&ended);
        let lines = outputs(&sandbox.read("out.jsonl"));
        assert_eq!(lines.len(), if code == 1 { 3 } else { 0 });
        for line in lines {
            assert!(
                line.0["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("Incorrect API key")
            );
        }
    }
}

#[test]
fn text_of_the_input_drives_no_terminal() {
    let sandbox = sandbox();
    let hostile =
        json!({"custom_id": "a\u{1b}[2J", "model": "evil\u{1b}]0;x\u{7}/\u{9b}m", "prompt": "p"});
    sandbox.write("in.jsonl", format!("{hostile}\n"));
    let args = ["run", "in.jsonl", "-o", "out.jsonl"];
    let ended = sandbox.antiphon(args).run();
    drives_no_terminal(&ended);
    assert!(ended.code == Some(1) || ended.code == Some(2), "{ended:?}");
}
