//! A server that answers by what it is asked, and a terminal to look at.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsFd,
    process::Stdio,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::support::Scratch;

/// A server in OpenAI's format, each of whose requests is answered on a thread of its own.
pub(crate) struct Scripted {
    url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Scripted {
    /// Answers each request by a function of its body.
    pub(crate) fn new(script: impl Fn(&Value, &mut Line) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let bodies = Arc::<Mutex<Vec<Value>>>::default();
        let (script, seen) = (Arc::new(script), bodies.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, seen) = (script.clone(), seen.clone());
                std::thread::spawn(move || {
                    if let Some(body) = read(&stream) {
                        seen.lock().unwrap().push(body.clone());
                        script(&body, &mut Line(stream));
                    }
                });
            }
        });
        Self { url, bodies }
    }

    /// Its base URL, `/v1` included.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The bodies of the requests so far.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<u64>().ok())?
    });
    serde_json::from_reader(reader.take(length?)).ok()
}

/// The line to who asked. What is said after they have hung up is lost.
pub(crate) struct Line(TcpStream);

impl Line {
    /// A whole answer of this text.
    pub(crate) fn say(&mut self, text: &str) {
        let message = json!({"role": "assistant", "content": text});
        let body = json!({
            "id": "c", "object": "chat.completion", "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        });
        self.reply(200, &body);
    }

    /// A refusal with this status.
    pub(crate) fn fail(&mut self, status: u16, message: &str) {
        self.reply(status, &json!({"error": {"message": message}}));
    }

    fn reply(&mut self, status: u16, body: &Value) {
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        let _gone = self.0.write_all((head + &body).as_bytes());
    }

    /// The head of an answer that comes in pieces.
    pub(crate) fn begin(&mut self) {
        let head = "HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let _gone = self.0.write_all(head.as_bytes());
    }

    /// A piece of it. False where nobody listens any more.
    pub(crate) fn piece(&mut self, text: &str) -> bool {
        self.event(&json!({"content": text}), None)
    }

    /// The end of it.
    pub(crate) fn end(&mut self) {
        self.event(&json!({}), Some("stop"));
        let _gone = self.0.write_all(b"data: [DONE]\n\n");
    }

    fn event(&mut self, delta: &Value, finish_reason: Option<&str>) -> bool {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
        let event = json!({
            "id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice],
        });
        self.0
            .write_all(format!("data: {event}\n\n").as_bytes())
            .is_ok()
    }
}

/// What a command shows on a terminal: the bytes that reach it from stdout.
pub(crate) fn shown_on_a_terminal(scratch: &Scratch, args: &[&str]) -> String {
    use rustix::{
        fs::{Mode, OFlags},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    };
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(terminal.as_fd(), Vec::new()).unwrap();
    let stdout = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut command = scratch.command(args);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdout(stdout).spawn().unwrap();
    // the last hand on the terminal's other end is then the child's
    drop(command);
    let mut shown = Vec::new();
    let mut chunk = [0; 4096];
    // once nobody holds the other end, reading is an error on Linux and the end elsewhere
    while let Ok(read @ 1..) =
        File::read(&mut File::from(terminal.try_clone().unwrap()), &mut chunk)
    {
        shown.extend_from_slice(&chunk[..read]);
    }
    child.wait().unwrap();
    String::from_utf8(shown).unwrap().replace("\r\n", "\n")
}
