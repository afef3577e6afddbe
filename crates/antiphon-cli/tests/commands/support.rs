//! A scratch folder to run the command in, and servers to run it against.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// A scratch folder. Commands run in it see nothing of the real environment.
pub(crate) struct Scratch(tempfile::TempDir);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a file `in.jsonl` of these lines.
    pub(crate) fn with_input(lines: &[&str]) -> Self {
        let scratch = Self::new();
        scratch.write("in.jsonl", lines.join("\n") + "\n");
        scratch
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The lines of an output file.
    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        parsed_lines(&self.read(name))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
        command
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("TMPDIR", std::env::temp_dir());
        command
    }

    pub(crate) fn antiphon(&self, args: &[&str]) -> Ran {
        self.antiphon_with(&[], args)
    }

    /// `antiphon run in.jsonl ARGS…`.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.antiphon(&[&["run", "in.jsonl"], args].concat())
    }

    pub(crate) fn antiphon_with(&self, env: &[(&str, &str)], args: &[&str]) -> Ran {
        let mut command = self.command(args);
        command.envs(env.iter().copied()).stdin(Stdio::null());
        command.output().unwrap().into()
    }

    pub(crate) fn antiphon_reading(&self, stdin: &[u8], args: &[&str]) -> Ran {
        let mut command = self.command(args);
        let piped = Stdio::piped;
        command.stdin(piped()).stdout(piped()).stderr(piped());
        let mut child = command.spawn().unwrap();
        // a command that is refused does not read to the end
        let _closed = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap().into()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Self {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!ran.err.contains("panicked"), "{ran:?}");
        ran
    }
}

impl Ran {
    /// The exit code, and words that stderr must say.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        for words in words {
            assert!(self.err.contains(words), "no {words:?} in: {}", self.err);
        }
        self
    }
}

pub(crate) fn parsed_lines(text: &str) -> Vec<Value> {
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "a torn line: {text:?}"
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The values at a JSON pointer of each line.
pub(crate) fn column<'a>(lines: &'a [Value], pointer: &str) -> Vec<&'a Value> {
    lines
        .iter()
        .map(|line| line.pointer(pointer).unwrap_or(&Value::Null))
        .collect()
}

/// The error codes of lines, `-` for an answer.
pub(crate) fn codes(lines: &[Value]) -> Vec<&str> {
    column(lines, "/error/code")
        .into_iter()
        .map(|code| code.as_str().unwrap_or("-"))
        .collect()
}

/// A server that gives every request the same answer, and remembers what it was sent.
pub(crate) struct Stub {
    url: String,
    requests: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Stub {
    /// Answers with a status and a JSON body.
    pub(crate) fn new(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
        let answer = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        std::thread::spawn({
            let requests = requests.clone();
            move || {
                for stream in listener.incoming().flatten() {
                    if let Some(request) = serve(stream, &answer) {
                        requests.lock().unwrap().push(request);
                    }
                }
            }
        });
        Self { url, requests }
    }

    /// Answers with a chat completion of this text.
    pub(crate) fn saying(text: &str) -> Self {
        let body = serde_json::json!({
            "id": "c", "object": "chat.completion", "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        });
        Self::new(200, &body.to_string())
    }

    /// Its base URL, `/v1` included.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Heads and bodies of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The JSON bodies of the requests so far.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        let requests = self.requests();
        let bodies = requests
            .iter()
            .filter_map(|request| request.split_once("\r\n\r\n"));
        bodies
            .map(|(_, body)| serde_json::from_str(body).unwrap())
            .collect()
    }
}

fn serve(mut stream: TcpStream, answer: &str) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<u64>().ok())?
    });
    let mut body = String::new();
    reader.take(length?).read_to_string(&mut body).ok()?;
    stream.write_all(answer.as_bytes()).ok()?;
    Some(head + &body)
}

/// A configuration file for the simulated provider with these lines.
pub(crate) fn sim_config(scratch: &Scratch, lines: &str) {
    scratch.write("antiphon.toml", format!("[providers.sim]\n{lines}\n"));
}

/// Makes a link to a file.
pub(crate) fn symlink(to: &Path, at: &Path) {
    std::os::unix::fs::symlink(to, at).unwrap();
}
