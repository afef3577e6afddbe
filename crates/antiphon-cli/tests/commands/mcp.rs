//! `antiphon mcp` as its clients and its user meet it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::{fd::AsFd, unix::fs::PermissionsExt},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use antiphon_testkit::{Running, Sandbox, Signal};
use serde_json::{Value, json};

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_antiphon"))
}

fn initialize() -> Value {
    introduction(&json!({"sampling": {}}))
}

fn introduction(capabilities: &Value) -> Value {
    let params = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": capabilities,
        "clientInfo": {"name": "raw", "version": "1"},
    });
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

fn ask(id: u64) -> Value {
    let params = json!({"name": "ask", "arguments": {"prompt": "Hi"}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

/// A client that has started the server, as clients do.
struct Client {
    server: Child,
    writer: Option<ChildStdin>,
    reader: BufReader<ChildStdout>,
}

impl Client {
    fn start(sandbox: &Sandbox) -> Self {
        Self::start_with(sandbox, &[("ANTIPHON_LOG", "trace")], Stdio::null())
    }

    fn start_with(sandbox: &Sandbox, env: &[(&str, &str)], stderr: Stdio) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .arg("mcp")
            .current_dir(sandbox.folder())
            .env_clear()
            .env("HOME", sandbox.folder())
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Self {
            writer: server.stdin.take(),
            reader: BufReader::new(server.stdout.take().unwrap()),
            server,
        }
    }

    fn send(&mut self, line: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// What comes next on stdout, which is always a message.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Begins a call that waits for the client's model.
    fn ask(&mut self) {
        self.send(&initialize().to_string());
        assert_eq!(self.next()["id"], 0);
        self.send(&ask(1).to_string());
        assert_eq!(self.next()["method"], "sampling/createMessage");
    }

    /// All that is still said, each line a message, and how the server ended.
    fn end(mut self) -> (Vec<Value>, Option<i32>) {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).unwrap();
        let messages = rest.lines().map(|line| serde_json::from_str(line).unwrap());
        (messages.collect(), self.server.wait().unwrap().code())
    }
}

#[test]
fn stdout_has_messages_only_and_garbage_ends_nothing() {
    let sandbox = sandbox();
    let mut client = Client::start(&sandbox);
    client.send("npm notice");
    client.send(&initialize().to_string());
    let about = client.next();
    let instructions = about["result"]["instructions"].as_str().unwrap();
    assert!(instructions.contains("one call"), "{instructions}");
    client.send("{\"jsonrpc\": ");
    client.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string());
    let listed = client.next();
    assert_eq!(listed["result"]["tools"][0]["name"], "ask");
    client.writer = None;
    assert_eq!(client.end(), (Vec::new(), Some(0)));
}

#[test]
fn the_end_of_stdin_gives_calls_up_and_ends_the_server() {
    let sandbox = sandbox();
    let mut client = Client::start(&sandbox);
    client.ask();
    client.writer = None;
    let (messages, code) = client.end();
    let given_up = |message: &Value| message["id"] == 1 && message["result"]["isError"] == true;
    assert!(messages.iter().any(given_up), "{messages:?}");
    assert_eq!(code, Some(0));
}

#[test]
fn the_log_tells_what_a_clients_model_was_asked() {
    let sandbox = sandbox();
    let env = [("ANTIPHON_LOG", "info")];
    let mut client = Client::start_with(&sandbox, &env, Stdio::piped());
    client.ask();
    let mut stderr = client.server.stderr.take().unwrap();
    client.writer = None;
    assert_eq!(client.end().1, Some(0));
    let mut log = String::new();
    stderr.read_to_string(&mut log).unwrap();
    let told =
        "client raw 1: 1 call of its model, at most 1 at once and 0 waiting, longest wait 0.0 s";
    assert!(log.contains(told), "{log}");
}

#[test]
fn a_key_and_no_model_ends_in_words_that_say_what_to_name() {
    let sandbox = sandbox();
    for (env, words) in [
        (
            &[("OPENAI_API_KEY", "sk-x")][..],
            "start the server with `--model openai/…`",
        ),
        (&[], "start the server with `--model provider/model`"),
    ] {
        let mut client = Client::start_with(&sandbox, env, Stdio::null());
        client.send(&introduction(&json!({})).to_string());
        client.next();
        client.send(&ask(1).to_string());
        let told = client.next()["result"]["content"][0]["text"].to_string();
        assert!(told.contains("has not declared the capability `sampling`; "));
        assert!(told.contains(words), "{told}");
        client.writer = None;
        client.end();
    }
}

#[test]
fn a_model_that_cannot_be_asked_is_told_at_the_start() {
    let sandbox = sandbox();
    for (model, why) in [
        ("openai/gpt-4o-mini", "no API key for openai"),
        (
            "opnai/gpt-4o-mini",
            "unknown provider \"opnai\"; did you mean \"openai\"?",
        ),
    ] {
        let words = format!("warning: tools that name no model cannot be answered: {why}");
        let ended = sandbox.antiphon(["mcp", "-m", model]).run().exits(0);
        ended.says(&words);
    }
}

#[test]
fn a_signal_ends_the_server_though_its_client_is_there() {
    for signal in ["-TERM", "-INT"] {
        let sandbox = sandbox();
        let mut client = Client::start(&sandbox);
        client.ask();
        ends_by(client.server, signal);
    }
}

/// Sends a signal and insists on an end in order.
fn ends_by(mut server: Child, signal: &str) {
    let id = server.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status().unwrap();
    assert!(sent.success());
    assert_eq!(server.wait().unwrap().code(), Some(0), "{signal}");
}

#[test]
fn whoever_types_the_command_reads_what_it_is_for() {
    use rustix::{
        fs::{Mode, OFlags},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    };
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(terminal.as_fd(), Vec::new()).unwrap();
    let stdin = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let sandbox = sandbox();
    let mut server = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .arg("mcp")
        .current_dir(sandbox.folder())
        .env_clear()
        .env("HOME", sandbox.folder())
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let hint = lines.find(|line| line.as_ref().unwrap().contains("mcpServers"));
    assert!(hint.is_some());
    // a thread waits for what nobody types
    ends_by(server, "-INT");
}

/// A server over HTTP.
struct Server {
    process: Running,
    address: SocketAddr,
}

impl Server {
    fn start(sandbox: &Sandbox) -> Self {
        let args = ["mcp", "--http", "127.0.0.1:0", "--json"];
        let command = sandbox.antiphon(args).env("A_KEY", KEY);
        let mut process = command.start();
        let up = process.until(|process| process.stdout().ends_with(b"\n"));
        assert!(up, "the server ended: {}", process.stderr());
        let told: Value = serde_json::from_slice(&process.stdout()).unwrap();
        let address = told["address"].as_str().unwrap();
        assert_eq!(told["url"], format!("http://{address}/mcp"));
        Self {
            process,
            address: address.parse().unwrap(),
        }
    }

    /// Sends a request, with more headers, and leaves its answer to be read.
    fn post(&self, headers: &str, body: &Value) -> BufReader<TcpStream> {
        let body = body.to_string();
        let mut tcp = TcpStream::connect(self.address).unwrap();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        );
        tcp.write_all(request.as_bytes()).unwrap();
        BufReader::new(tcp)
    }

    fn text(&self, headers: &str, body: &Value) -> String {
        let mut text = String::new();
        let mut answer = self.post(headers, body);
        answer.read_to_string(&mut text).unwrap();
        text
    }

    /// Begins a session and gives the header that names it.
    fn session(&self) -> String {
        let text = self.text("", &initialize());
        let mut lines = text.lines();
        let header = lines.find(|line| line.to_lowercase().starts_with("mcp-session-id:"));
        format!("{}\r\n", header.unwrap_or_else(|| panic!("{text}")))
    }
}

const KEY: &str = "antiphon_a-key-of-some-length";

/// Reads a stream until it says this.
fn until(stream: &mut BufReader<TcpStream>, words: &str) -> String {
    let mut line = String::new();
    while stream.read_line(&mut line).unwrap() > 0 && !line.contains(words) {
        line.clear();
    }
    line
}

/// The message in a line of a stream.
fn message(line: &str) -> Value {
    let start = line.find('{').unwrap_or_else(|| panic!("{line:?}"));
    serde_json::from_str(line[start..].trim()).unwrap()
}

#[test]
fn over_http_the_clients_model_is_asked_on_the_stream_of_the_call() {
    let sandbox = sandbox();
    let mut server = Server::start(&sandbox);
    let session = server.session();
    let mut stream = server.post(&session, &ask(1));
    let asked = message(&until(&mut stream, "sampling/createMessage"));
    let result =
        json!({"role": "assistant", "content": {"type": "text", "text": "Ho"}, "model": "m"});
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
    assert!(server.text(&session, &answer).starts_with("HTTP/1.1 202"));
    let answered = message(&until(&mut stream, "structuredContent"));
    assert_eq!(answered["result"]["structuredContent"]["text"], "Ho");

    // a call that waits does not hold the end
    let mut waits = server.post(&session, &ask(2));
    until(&mut waits, "sampling/createMessage");
    server.process.signal(Signal::Terminate);
    let mut rest = String::new();
    let _cut = waits.read_to_string(&mut rest);
    server.process.wait().exits(0);
}

#[test]
fn over_http_web_pages_and_strangers_are_refused() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox);
    let page = server.text("origin: https://evil.example\r\n", &initialize());
    assert!(page.starts_with("HTTP/1.1 403"), "{page}");
    let own = server.text("origin: http://localhost:6274\r\n", &initialize());
    assert!(own.starts_with("HTTP/1.1 200"), "{own}");
    drop(server);

    sandbox.write(
        "antiphon.toml",
        "[[keys]]\nname = \"a\"\nkey_env = \"A_KEY\"\n",
    );
    let server = Server::start(&sandbox);
    let refused = server.text("", &initialize());
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(refused.contains("www-authenticate: Bearer"), "{refused}");
    assert!(refused.contains("no key was sent"), "{refused}");
    let bearer = format!("authorization: Bearer {KEY}\r\n");
    let let_in = server.text(&bearer, &initialize());
    assert!(let_in.starts_with("HTTP/1.1 200"), "{let_in}");
}

#[test]
fn what_would_not_be_kept_to_or_would_open_the_purse_is_refused_at_the_start() {
    let sandbox = sandbox();
    let start = |address: &str| {
        let command = sandbox.antiphon(["mcp", "--http", address]);
        command.env("A_KEY", KEY).run().exits(2)
    };
    start("0.0.0.0:0")
        .says("without [[keys]] everybody who can reach 0.0.0.0:0 could use the tools");
    for bound in [
        "models = [\"fast\"]",
        "rpm = 5",
        "tpm = 5",
        "budget_usd_per_day = 1",
    ] {
        let models = "[models.fast]\nuse = \"sim/a\"\n";
        let keys = format!("[[keys]]\nname = \"a\"\nkey_env = \"A_KEY\"\n{bound}\n{models}");
        sandbox.write("antiphon.toml", keys);
        let name = bound.split(' ').next().unwrap();
        let words = format!(
            "antiphon.toml:1: the key \"a\" has {name}, which the tools of MCP would not keep to"
        );
        start("127.0.0.1:0").says(&words);
    }
    let ended = sandbox.antiphon(["mcp", "--json"]).run().exits(2);
    ended.says("--http <HOST:PORT>");
}

#[test]
fn a_signal_has_the_certificate_read_again_and_only_that() {
    let sandbox = sandbox();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    sandbox.write("a.crt", made.cert.pem());
    sandbox.write("a.key", made.signing_key.serialize_pem());
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(sandbox.path("a.key"), private).unwrap();
    let args = ["mcp", "--http", "127.0.0.1:0"];
    let tls = ["--tls-cert", "a.crt", "--tls-key", "a.key"];
    let mut server = sandbox.antiphon(args).args(tls).start();
    let up = server.until(|process| process.stdout().ends_with(b"\n"));
    assert!(up, "the server ended: {}", server.stderr());
    let mut says = |words: &str, signal| {
        server.signal(signal);
        let said = server.until(|process| process.stderr().contains(words));
        assert!(said, "{}", server.stderr());
    };
    says("certificate read again", Signal::Hangup);
    sandbox.write("a.crt", "nothing");
    says("the certificate from before stays in use", Signal::Hangup);
    server.signal(Signal::Terminate);
    server.wait().exits(0);
}
