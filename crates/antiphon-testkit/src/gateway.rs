//! The gateway as a process of its own.

use std::net::SocketAddr;

use serde_json::Value;

use crate::{Antiphon, Running, Sandbox};

/// A running `antiphon serve` on a free port of loopback.
#[derive(Debug)]
pub struct Gateway {
    process: Running,
    address: SocketAddr,
}

impl Gateway {
    /// The command that [`Gateway::start`] takes; its `antiphon.toml` is the sandbox's.
    pub fn command(sandbox: &Sandbox) -> Antiphon {
        sandbox.antiphon(["serve", "--listen", "127.0.0.1:0", "--json"])
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(command: Antiphon) -> Self {
        let mut process = command.start();
        let up = process.until(|process| process.stdout().ends_with(b"\n"));
        assert!(up, "the gateway ended: {}", process.stderr());
        let told: Value = serde_json::from_slice(&process.stdout()).expect("JSON");
        let address = told["address"].as_str().expect("an address");
        Self {
            process,
            address: address.parse().expect("an address"),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL without `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process itself: its talk, and signals to it.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }
}
