//! The server of the Model Context Protocol as a process of its own.

use serde_json::Value;

use crate::{Running, Sandbox};

/// A running `antiphon mcp --http` on a free port of loopback; its `antiphon.toml` is the sandbox's.
#[derive(Debug)]
pub struct McpServer {
    process: Running,
    url: String,
}

impl McpServer {
    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(sandbox: &Sandbox) -> Self {
        let mut process = sandbox
            .antiphon(["mcp", "--http", "127.0.0.1:0", "--json"])
            .start();
        let up = process.until(|process| process.stdout().ends_with(b"\n"));
        assert!(up, "the server ended: {}", process.stderr());
        let told: Value = serde_json::from_slice(&process.stdout()).expect("JSON");
        let address = told["address"].as_str().expect("an address");
        Self {
            url: format!("http://{address}/mcp"),
            process,
        }
    }

    /// Where clients find it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process itself: its talk, and signals to it.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }
}
