//! Clients of the Model Context Protocol that lend their model, which is the simulated provider.

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{scripts, tools};
use crate::{Antiphon, Running, Sandbox, Sim};

/// Time between two looks at what a server has left behind, and how many there are: half a minute.
const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 6000;

/// A client library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// `mcp` 1.x from PyPI, which answers its server one request at a time.
    Python1,
    /// `mcp` 2.x from PyPI, which answers many at once and knows both eras.
    Python2,
    /// `@modelcontextprotocol/sdk` from npm, which answers many at once.
    TypeScript1,
    /// `@modelcontextprotocol/client` from npm, which answers many at once and knows both eras.
    TypeScript2,
}

impl Sdk {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Python1,
        Self::Python2,
        Self::TypeScript1,
        Self::TypeScript2,
    ];
    /// Those that answer their server's requests side by side.
    pub const PARALLEL: [Self; 3] = [Self::Python2, Self::TypeScript1, Self::TypeScript2];
    /// Those that speak the protocol of 2026-07-28.
    pub const MODERN: [Self; 2] = [Self::Python2, Self::TypeScript2];

    fn script(self) -> &'static str {
        match self {
            Self::Python1 => "mcp/python1.py",
            Self::Python2 => "mcp/python2.py",
            Self::TypeScript1 => "mcp/typescript1.mjs",
            Self::TypeScript2 => "mcp/typescript2.mjs",
        }
    }

    /// Its interpreter, among the tools.
    fn interpreter(self, tools: &Path) -> PathBuf {
        tools.join(match self {
            Self::Python1 => "mcp1/bin/python",
            Self::Python2 => "mcp2/bin/python",
            Self::TypeScript1 | Self::TypeScript2 => "node",
        })
    }
}

/// What a client does: the fields of `clients/mcp/plan.py`.
#[derive(Clone, Debug)]
pub struct McpPlan(Value);

impl McpPlan {
    /// Over stdin and stdout, with the binary of a sandbox that the client starts itself: `antiphon mcp`, which takes its
    /// `antiphon.toml` from the sandbox. How each such process ended is in the sandbox's file `ended`, a line for each.
    pub fn over_stdio(sandbox: &Sandbox) -> Self {
        let folder = sandbox.folder().to_string_lossy();
        let script = r#""$ANTIPHON" mcp; echo "$?" >>ended"#;
        Self::to(json!({
            "command": "sh",
            "args": ["-c", script],
            "cwd": folder,
            "env": {"ANTIPHON": sandbox.binary().to_string_lossy(), "HOME": folder, "TMPDIR": folder},
        }))
    }

    /// Over Streamable HTTP.
    pub fn over_http(url: &str) -> Self {
        Self::to(json!({"url": url}))
    }

    fn to(server: Value) -> Self {
        Self(json!({"server": server, "era": "handshake", "lends": false, "rounds": []}))
    }

    /// How the server that a client had started ended: its exit code, on a line of its own.
    ///
    /// # Panics
    /// When it goes on although its client is gone.
    pub fn ended(sandbox: &Sandbox) -> String {
        for _ in 0..LOOKS {
            let ended = sandbox.read("ended");
            if ended.ends_with('\n') {
                return ended;
            }
            thread::sleep(LOOK);
        }
        panic!("the server has outlived its client");
    }

    fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }

    /// In the era without sessions, where what is asked of the client is the result of its call.
    #[must_use]
    pub fn modern(self) -> Self {
        self.with("era", "2026-07-28")
    }

    /// The client lends this model.
    #[must_use]
    pub fn lending(self, sim: &Sim) -> Self {
        self.with("lends", true).with("model", sim.base_url())
    }

    /// Calls that are made at once, after all before have ended.
    #[must_use]
    pub fn calling(mut self, calls: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let calls = calls
            .into_iter()
            .map(|(tool, arguments)| json!({"tool": tool, "arguments": arguments}));
        let calls: Vec<Value> = calls.collect();
        if let Some(rounds) = self.0["rounds"].as_array_mut() {
            rounds.push(calls.into());
        }
        self
    }

    /// The user declines what has this text in it.
    #[must_use]
    pub fn refusing(self, text: &str) -> Self {
        self.with("refuses", text)
    }

    /// What has this text in it is never answered.
    #[must_use]
    pub fn holding(self, text: &str) -> Self {
        self.with("holds", text)
    }

    /// Nothing is answered until so many wait for it.
    #[must_use]
    pub fn gathering(self, count: u32) -> Self {
        self.with("gathers", count)
    }

    /// A call with this text in its arguments is given up once this text is to be sampled, which is answered all the same.
    #[must_use]
    pub fn giving_up_at(self, text: &str) -> Self {
        self.with("gives_up", text)
    }

    /// The client closes the connection, as its makers mean it to be closed, once this text is to be sampled.
    #[must_use]
    pub fn leaving_at(self, text: &str) -> Self {
        self.with("leaves", text)
    }
}

/// A client that does its plan.
#[derive(Debug)]
pub struct McpClient(Running);

impl McpClient {
    /// Starts one. `None` where the clients are not installed: the test is then left out, and says so.
    ///
    /// # Panics
    /// When they are missing where they are required, or cannot be started.
    pub fn start(sandbox: &Sandbox, sdk: Sdk, plan: &McpPlan) -> Option<Self> {
        let tools = tools(sdk.script())?;
        let script = scripts().join(sdk.script());
        // -B leaves no compiled files beside the scripts
        let flags: &[&str] = match sdk {
            Sdk::Python1 | Sdk::Python2 => &["-B"],
            Sdk::TypeScript1 | Sdk::TypeScript2 => &[],
        };
        let command = Antiphon::new(&sdk.interpreter(&tools), sandbox.folder(), flags)
            .args([script])
            .env("TOOLS", &tools.to_string_lossy())
            .env("PLAN", &plan.0.to_string());
        Some(Self(command.start()))
    }

    /// Does a plan to its end.
    ///
    /// # Panics
    /// As [`McpClient::start`] and [`McpClient::wait`].
    pub fn run(sandbox: &Sandbox, sdk: Sdk, plan: &McpPlan) -> Option<Told> {
        Self::start(sandbox, sdk, plan).map(Self::wait)
    }

    /// Waits until so many events with this name were told.
    ///
    /// # Panics
    /// When the client ends before.
    pub fn until(&mut self, event: &str, count: usize) {
        let come = self
            .0
            .until(|client| Told::read(&client.stdout()).events(event).count() >= count);
        assert!(come, "no {event}: {}", self.0.stderr());
    }

    /// Kills it, as a crash does.
    pub fn kill(mut self) -> Told {
        self.0.kill();
        Told::read(&self.0.stdout())
    }

    /// Waits until it has done its plan.
    ///
    /// # Panics
    /// When it fails at that.
    pub fn wait(self) -> Told {
        let ended = self.0.wait();
        let told = Told::read(&ended.stdout);
        let is_done = ended.code == Some(0) && told.events("end").count() == 1;
        assert!(is_done, "the client failed: {}\n{told:?}", ended.stderr);
        told
    }
}

/// What a client tells of its plan, in the order in which it happened.
#[derive(Clone, Debug)]
pub struct Told(Vec<Value>);

impl Told {
    /// Whole lines; one that is being written is for the next look.
    fn read(stdout: &[u8]) -> Self {
        let text = String::from_utf8_lossy(stdout);
        let lines = text.split_inclusive('\n');
        let whole = lines.filter(|line| line.ends_with('\n'));
        Self(
            whole
                .map(|line| serde_json::from_str(line).expect("a line of JSON"))
                .collect(),
        )
    }

    /// Events with this name.
    pub fn events<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |event| event["event"] == name)
    }

    /// The version of the protocol that was agreed on, and the names of the tools.
    ///
    /// # Panics
    /// When the client did not come so far.
    pub fn ready(&self) -> &Value {
        self.events("ready").next().expect("it was ready")
    }

    /// What a call ended with: the result of a tool, or `{code, message}` where the call itself failed.
    ///
    /// # Panics
    /// When the call did not end.
    pub fn end_of(&self, call: usize) -> &Value {
        let of_call = |event: &&Value| event["call"] == call && event["event"] != "progress";
        let end = self.0.iter().find(of_call);
        let end = end.unwrap_or_else(|| panic!("call {call} has no end: {self:?}"));
        if end["event"] == "result" {
            &end["result"]
        } else {
            end
        }
    }

    /// The structured result of a call.
    ///
    /// # Panics
    /// When it has none.
    pub fn answer(&self, call: usize) -> &Value {
        let end = self.end_of(call);
        let answer = &end["structuredContent"];
        assert!(answer.is_object() && end["isError"] != true, "{end}");
        answer
    }

    /// The words of a call whose tool failed.
    ///
    /// # Panics
    /// When it did not fail.
    pub fn error(&self, call: usize) -> &str {
        let end = self.end_of(call);
        assert_eq!(end["isError"], true, "{end}");
        end["content"][0]["text"].as_str().expect("words")
    }

    /// What was to be sampled, in the order in which it came.
    pub fn sampled(&self) -> Vec<&str> {
        self.events("sampled")
            .filter_map(|event| event["text"].as_str())
            .collect()
    }

    /// The most that was to be sampled at once.
    pub fn peak(&self) -> u64 {
        let in_flight = self
            .events("sampled")
            .filter_map(|event| event["in_flight"].as_u64());
        in_flight.max().unwrap_or(0)
    }
}
