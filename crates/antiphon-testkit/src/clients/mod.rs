//! The clients that people really use, in Python and JavaScript: they judge whether an endpoint speaks their language.

mod conformance;
mod mcp;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

pub use conformance::{Check, conformance};
pub use mcp::{McpClient, McpPlan, Sdk, Told};

/// Set by CI: missing clients are then a failure, not a test that is left out.
const REQUIRED: &str = "ANTIPHON_CLIENTS_REQUIRED";

/// What a client talks to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its base URL, without `/v1`.
    pub url: String,
    /// The simulated provider behind it, without `/v1`: the endpoint itself where nothing is in between.
    pub provider: String,
    /// Models to talk to.
    pub models: Vec<String>,
    /// Whether it is a gateway, which can more than a provider.
    pub is_gateway: bool,
}

/// Where `./test` puts the clients. `None` where it could not: the test is then left out, and says so.
///
/// # Panics
/// When they are missing where they are required.
fn tools(script: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/clients");
    // written once all is there
    if tools.join("pins").is_file() {
        return Some(tools);
    }
    assert!(
        env::var_os(REQUIRED).is_none(),
        "{REQUIRED} is set, but the clients are missing; ./test installs them"
    );
    #[allow(clippy::print_stderr, reason = "whoever reads the log should know")]
    {
        eprintln!("SKIPPED: {script} did not run, as the clients are not installed");
    }
    None
}

/// The scripts that are run with the clients.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Runs the checks of a client: a script of the folder `clients` of this crate.
///
/// Without the clients the test is left out, and says so.
///
/// # Panics
/// With what the client said, when a check fails or the clients are missing where they are required.
pub fn talk(script: &str, endpoint: &Endpoint) {
    let Some(tools) = tools(script) else {
        return;
    };
    let mut command = match script.ends_with(".py") {
        true => Command::new(tools.join("python/bin/python")),
        false => Command::new(tools.join("node")),
    };
    // neither proxies nor keys of whoever runs the tests; -B leaves no compiled files beside the scripts
    command.env_clear();
    if script.ends_with(".py") {
        command.arg("-B");
    }
    if endpoint.is_gateway {
        command.env("GATEWAY", "1");
    }
    let ended = command
        .arg(scripts().join(script))
        .env("TOOLS", &tools)
        .env("BASE_URL", &endpoint.url)
        .env("SIM_URL", &endpoint.provider)
        .env("MODELS", endpoint.models.join(","))
        .output()
        .expect("what ./test installed can be started");
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success(),
        "{script} against {}:\n{}{}",
        endpoint.url,
        failures(&told),
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// The checks that failed, readable.
fn failures(told: &str) -> String {
    let mut text = String::new();
    for line in told.lines() {
        let check: Value = serde_json::from_str(line).unwrap_or_default();
        let Some(lines) = check["failed"].as_array() else {
            continue;
        };
        text.push_str(&format!("{} with {}:\n", check["check"], check["model"]));
        for line in lines.iter().filter_map(Value::as_str) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}
