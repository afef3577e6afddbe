//! The simulated provider as a process of its own, and its books.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Antiphon, Running, Sandbox, http};

/// How long attempts of a killed process may linger at the provider.
const SETTLING: Duration = Duration::from_secs(30);

/// A running `antiphon sim` on a free port of loopback.
#[derive(Debug)]
pub struct Sim {
    _process: Running,
    address: SocketAddr,
}

/// What the provider has seen since its last reset.
#[derive(Clone, Debug, PartialEq)]
pub struct Books(Value);

impl Books {
    fn count(&self, name: &str) -> u64 {
        self.0[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    /// Different prompts.
    pub fn distinct(&self) -> u64 {
        self.count("distinct_prompts")
    }

    /// Attempts that could be read.
    pub fn asked(&self) -> u64 {
        self.count("asked")
    }

    /// Whole answers handed over: what a provider charges.
    pub fn answered(&self) -> u64 {
        self.count("answered")
    }

    /// Attempts refused for the request itself or its key.
    pub fn rejected(&self) -> u64 {
        self.count("rejected")
    }

    /// Attempts refused by the limits.
    pub fn rate_limited(&self) -> u64 {
        self.count("rate_limited")
    }

    /// Attempts that have not ended.
    pub fn in_flight(&self) -> u64 {
        self.count("in_flight")
    }

    /// The most attempts at once.
    pub fn peak_in_flight(&self) -> u64 {
        self.count("peak_in_flight")
    }

    /// Calls that met an outage; they are in no other count.
    pub fn outage_calls(&self) -> u64 {
        self.count("outage_calls")
    }

    /// Attempts that met this kind of fault.
    pub fn faults(&self, kind: &str) -> u64 {
        self.0["faults"][kind].as_u64().unwrap_or(0)
    }

    /// Calls of any fate.
    pub fn calls(&self) -> u64 {
        // what is refused before it is read as a request is in no other count
        self.asked().max(self.rejected()) + self.outage_calls()
    }

    /// Attempts let in during each second, the latest last.
    pub fn calls_per_second(&self) -> Vec<u64> {
        let seconds = self.0["calls_per_second"].as_array();
        seconds
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .collect()
    }

    /// Tokens read and written for the whole answers that were handed over.
    pub fn tokens(&self) -> (u64, u64) {
        let tokens = |name: &str| self.0["usage"][name].as_u64().unwrap_or(0);
        (tokens("input_tokens"), tokens("output_tokens"))
    }

    /// Answers that were made and that nobody could read, or waited for.
    pub fn unread(&self) -> u64 {
        self.count("spoiled") + self.count("abandoned")
    }

    /// The most tokens let in during any minute.
    pub fn max_tokens_in_any_60s(&self) -> u64 {
        self.count("max_tokens_in_any_60s")
    }
}

impl Sim {
    /// Starts it with these options of `antiphon sim`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start<A: AsRef<OsStr>>(sandbox: &Sandbox, options: impl IntoIterator<Item = A>) -> Self {
        let mut process = sandbox
            .antiphon(["sim", "--listen", "127.0.0.1:0", "--json"])
            .args(options)
            .start();
        let up = process.until(|process| process.stdout().ends_with(b"\n"));
        assert!(up, "the simulated provider ended: {}", process.stderr());
        let told: Value = serde_json::from_slice(&process.stdout()).expect("JSON");
        let address = told["address"].as_str().expect("an address");
        Self {
            _process: process,
            address: address.parse().expect("an address"),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL in OpenAI's form.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// `antiphon run` with this provider as OpenAI, and nothing said on the way.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        sandbox: &Sandbox,
        args: impl IntoIterator<Item = A>,
    ) -> Antiphon {
        run_at(sandbox, &self.base_url(), args)
    }

    /// The books now.
    pub fn books(&self) -> Books {
        Books(http::ask(self.address, "GET", "/sim/ledger", ""))
    }

    /// The books once no attempt is open any more.
    ///
    /// # Panics
    /// When attempts stay open for half a minute.
    pub fn settled(&self) -> Books {
        let started = Instant::now();
        loop {
            let books = self.books();
            if books.in_flight() == 0 {
                return books;
            }
            assert!(started.elapsed() < SETTLING, "attempts stay open");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Answers beyond the first to each prompt, once no attempt is open any more.
    pub fn answered_again(&self) -> u64 {
        self.settled();
        let books = http::ask(self.address, "GET", "/sim/ledger?prompts=1", "");
        let prompts = books["prompts"].as_array().into_iter().flatten();
        prompts
            .filter_map(|prompt| prompt["answered"].as_u64())
            .map(|answered| answered.saturating_sub(1))
            .sum()
    }

    /// Starts the books again; what is still open would end in the new ones, so it is waited for.
    pub fn reset(&self) {
        self.settled();
        http::ask(self.address, "POST", "/sim/reset", "");
    }

    /// Changes how it behaves: the fields of POST `/sim/config`.
    pub fn change(&self, change: &Value) {
        http::ask(self.address, "POST", "/sim/config", &change.to_string());
    }

    /// Begins or ends an outage.
    pub fn outage(&self, down: bool) {
        self.change(&json!({"outage": down}));
    }
}

/// `antiphon run` against a base URL, with a key that every simulated provider takes and nothing said on the way.
pub fn run_at<A: AsRef<OsStr>>(
    sandbox: &Sandbox,
    base_url: &str,
    args: impl IntoIterator<Item = A>,
) -> Antiphon {
    sandbox
        .antiphon(["run", "--progress", "none"])
        .args(["--base-url", base_url])
        .args(args)
        .env("OPENAI_API_KEY", "key-of-the-sandbox")
}
