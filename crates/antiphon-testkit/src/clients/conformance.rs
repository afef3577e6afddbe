//! The official suite of conformance tests of the Model Context Protocol, `@modelcontextprotocol/conformance`.

use std::fs;

use serde_json::Value;

use super::tools;
use crate::{Antiphon, Sandbox};

/// What the suite says of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub id: String,
    /// SUCCESS, FAILURE, WARNING, SKIPPED or INFO.
    pub status: String,
    /// What is wrong; empty where nothing is.
    pub message: String,
}

/// Lets the suite judge the server at this URL in one scenario, in one version of the protocol. `None` where the suite is
/// not installed: the test is then left out, and says so.
///
/// # Panics
/// When it is missing where it is required, or does not come to a verdict.
pub fn conformance(
    sandbox: &Sandbox,
    url: &str,
    scenario: &str,
    version: &str,
) -> Option<Vec<Check>> {
    let tools = tools("the conformance suite")?;
    let suite = tools.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let folder = format!("conformance-{scenario}-{version}");
    let ended = Antiphon::new(&tools.join("node"), sandbox.folder(), [suite])
        .args(["server", "--url", url, "--scenario", scenario])
        .args(["--spec-version", version, "--output-dir", &folder])
        .run();
    // one folder for each scenario, with the moment in its name
    let result = fs::read_dir(sandbox.path(&folder))
        .ok()
        .and_then(|mut results| results.next()?.ok());
    let result = result.unwrap_or_else(|| panic!("no verdict on {scenario}: {}", ended.stderr));
    let checks = fs::read_to_string(result.path().join("checks.json")).expect("checks");
    let checks: Vec<Value> = serde_json::from_str(&checks).expect("a list of checks");
    let text = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    let checks = checks.iter().map(|check| Check {
        id: text(check, "id"),
        status: text(check, "status"),
        message: text(check, "errorMessage"),
    });
    Some(checks.collect())
}
