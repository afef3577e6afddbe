//! `antiphon serve` as its operator sees it: signals, certificates, a configuration that changes under way.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
};

use antiphon_testkit::{Running, Sandbox, Signal, Sim};
use serde_json::{Value, json};

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_antiphon"))
}

/// A gateway that runs, with what its sandbox has as `antiphon.toml`.
struct Gateway {
    process: Running,
    address: SocketAddr,
    url: String,
}

impl Gateway {
    fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        let mut process = sandbox
            .antiphon(["serve", "--listen", "127.0.0.1:0", "--json"])
            .args(args)
            .start();
        let up = process.until(|process| process.stdout().ends_with(b"\n"));
        assert!(up, "the gateway ended: {}", process.stderr());
        let told: Value = serde_json::from_slice(&process.stdout()).unwrap();
        Self {
            process,
            address: told["address"].as_str().unwrap().parse().unwrap(),
            url: told["url"].as_str().unwrap().to_owned(),
        }
    }

    /// Sends a question and leaves its answer to be read.
    fn send(&self, model: &str, stream: bool) -> TcpStream {
        let body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]});
        let body = body.to_string();
        let mut tcp = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        tcp.write_all((head + &body).as_bytes()).unwrap();
        tcp
    }

    fn status(&self, model: &str) -> String {
        let text = read(self.send(model, false));
        text.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// Waits until something holds while it runs.
    fn until(&mut self, holds: impl Fn() -> bool) {
        let held = self.process.until(|_| holds());
        assert!(held, "{}", self.process.stderr());
    }

    /// Waits until stderr says this.
    fn says(&mut self, words: &str) {
        let said = self
            .process
            .until(|process| process.stderr().contains(words));
        assert!(said, "{}", self.process.stderr());
    }
}

fn read(mut tcp: TcpStream) -> String {
    let mut text = String::new();
    // one that was cut off may have been reset
    let _cut = tcp.read_to_string(&mut text);
    text
}

fn config(sim: &Sim, models: &str) -> String {
    let url = sim.base_url();
    format!("[providers.up]\ndialect = \"openai\"\nbase_url = \"{url}\"\n{models}")
}

const SMALL: &str = "[models.small]\nuse = \"up/small\"\n";

#[test]
fn a_hangup_reads_the_configuration_again_and_drops_no_call() {
    let sandbox = sandbox();
    let sim = Sim::start(&sandbox, ["--latency", "1500ms"]);
    sandbox.write("antiphon.toml", config(&sim, SMALL));
    let mut gateway = Gateway::start(&sandbox, &[]);
    let under_way = gateway.send("small", true);
    gateway.until(|| sim.books().asked() > 0);
    sandbox.write(
        "antiphon.toml",
        config(&sim, "[models.large]\nuse = \"up/large\"\n"),
    );
    gateway.process.signal(Signal::Hangup);
    gateway.says("models added: large; models removed: small\n");
    assert_eq!(gateway.status("small"), "404");
    sim.change(&json!({"latency_ms": 0}));
    assert_eq!(gateway.status("large"), "200");
    let text = read(under_way);
    assert!(text.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"), "{text}");

    sandbox.write("antiphon.toml", "[models.large]\nuse = 3\n");
    gateway.process.signal(Signal::Hangup);
    gateway.says("the configuration from before stays in use");
    sandbox.write("antiphon.toml", "[models.large]\nuse = \"opnai/x\"\n");
    gateway.process.signal(Signal::Hangup);
    gateway.says("models.large: unknown provider \"opnai\"; did you mean \"openai\"?");
    assert_eq!(gateway.status("large"), "200");
    gateway.process.signal(Signal::Terminate);
    let ended = gateway.process.wait().exits(0);
    assert!(ended.stderr.contains("antiphon.toml"), "{}", ended.stderr);
    ended.says("stopping: no call is under way");
}

#[test]
fn a_gateway_that_is_stopped_lets_its_streams_end() {
    for (signal, code) in [(Signal::Terminate, 0), (Signal::Interrupt, 0)] {
        let sandbox = sandbox();
        let sim = Sim::start(&sandbox, ["--latency", "700ms"]);
        sandbox.write("antiphon.toml", config(&sim, SMALL));
        let mut gateway = Gateway::start(&sandbox, &[]);
        let under_way = gateway.send("small", true);
        gateway.until(|| sim.books().asked() > 0);
        gateway.process.signal(signal);
        gateway.says("waiting up to 30 s for 1 call (again to stop at once)");
        assert_eq!(gateway.status("small"), "503");
        let text = read(under_way);
        assert!(text.contains("data: [DONE]"), "{text}");
        gateway.process.wait().exits(code);
    }
}

#[test]
fn a_second_signal_ends_at_once_and_so_does_the_end_of_patience() {
    let sandbox = sandbox();
    let sim = Sim::start(&sandbox, ["--latency", "60s"]);
    sandbox.write("antiphon.toml", config(&sim, SMALL));
    let mut gateway = Gateway::start(&sandbox, &[]);
    let under_way = gateway.send("small", false);
    gateway.until(|| sim.books().in_flight() > 0);
    gateway.process.signal(Signal::Interrupt);
    gateway.says("again to stop at once");
    gateway.process.signal(Signal::Interrupt);
    let ended = gateway.process.wait().exits(130);
    ended.says("stopped at once; 1 call cut off");
    assert_eq!(read(under_way), "");
    sim.settled();

    let mut gateway = Gateway::start(
        &sandbox,
        &["--drain", "100ms", "--access-log", "access.log"],
    );
    let under_way = gateway.send("small", false);
    gateway.until(|| sim.books().in_flight() > 0);
    gateway.process.signal(Signal::Terminate);
    let ended = gateway.process.wait().exits(3);
    ended.says("1 call did not end in 0.1 s and was cut off");
    let told = read(under_way);
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    assert!(told.contains("the gateway is stopping"), "{told}");
    let log = fs::read_to_string(sandbox.path("access.log")).unwrap();
    let line: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(
        (&line["status"], &line["error"]),
        (&json!(503), &json!("stopped"))
    );
    assert_eq!(
        (&line["attempts"], &line["cost_usd"]),
        (&json!(1), &Value::Null)
    );
    sim.settled();
}

#[test]
fn a_gateway_whose_models_cannot_work_does_not_start() {
    let sandbox = sandbox();
    sandbox.write(
        "antiphon.toml",
        "[models.a]\nuse = \"b\"\n[models.b]\nuse = \"a\"\n",
    );
    let ended = sandbox.antiphon(["serve", "--listen", "127.0.0.1:0"]).run();
    ended.exits(2).says("models.a: models point at each other");
}

#[test]
fn certificates_are_flags_that_go_together() {
    let sandbox = sandbox();
    let serve = |args: &[&str]| {
        let command = sandbox.antiphon(["serve", "--listen", "127.0.0.1:0"]);
        command.args(args).run()
    };
    serve(&["--tls-cert", "a.crt"]).exits(2).says("--tls-key");
    serve(&["--tls-key", "a.key"]).exits(2).says("--tls-cert");
    let both = ["--tls-cert", "a.crt", "--tls-key", "a.key"];
    serve(&both).exits(2).says("cannot read a.crt");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    sandbox.write("a.crt", made.cert.pem());
    sandbox.write("a.key", made.signing_key.serialize_pem());
    let permit =
        |mode| fs::set_permissions(sandbox.path("a.key"), fs::Permissions::from_mode(mode));
    permit(0o644).unwrap();
    serve(&both).exits(2).says("run `chmod o= a.key`");
    permit(0o600).unwrap();
    let mut gateway = Gateway::start(&sandbox, &both);
    assert!(gateway.url.starts_with("https://127.0.0.1:"));
    sandbox.write("a.crt", "nothing");
    gateway.process.signal(Signal::Hangup);
    gateway.says("the certificate from before stays in use");
    gateway.process.signal(Signal::Terminate);
    gateway.process.wait().exits(0);
}

#[test]
fn a_start_without_any_provider_says_what_is_missing() {
    let sandbox = sandbox();
    let mut gateway = Gateway::start(&sandbox, &[]);
    gateway.says("no provider has a key: set OPENAI_API_KEY or ANTHROPIC_API_KEY");
    assert_eq!(gateway.status("sim/demo"), "200");
}

#[test]
fn beside_real_providers_neither_slips_nor_simulated_models_are_answered() {
    let sandbox = sandbox();
    let sim = Sim::start(&sandbox, ["--latency", "0ms"]);
    let key = "[providers.openai]\nbase_url = \"http://127.0.0.1:1/v1\"\n";
    sandbox.write("antiphon.toml", config(&sim, SMALL) + key);
    let gateway = Gateway::start(&sandbox, &[]);
    assert_eq!(gateway.status("small"), "200");
    let slip = read(gateway.send("smal", false));
    assert!(slip.starts_with("HTTP/1.1 404 "), "{slip}");
    let told = r#"(write \"openai/smal\" for a model of the provider); did you mean \"small\""#;
    assert!(slip.contains(told), "{slip}");
    assert_eq!(gateway.status("sim/demo"), "404");
    assert!(!gateway.process.stderr().contains("no provider has a key"));
}
