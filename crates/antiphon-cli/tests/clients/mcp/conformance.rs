//! The official suite of conformance tests. Most of its scenarios want a server with tools, prompts and resources that are
//! made for the suite; these are the ones that any server can be judged by.

use antiphon_testkit::{McpServer, clients::conformance};

use super::sandbox;

/// What the suite finds wrong.
fn faults(version: &str, scenario: &str) -> Vec<String> {
    let sandbox = sandbox();
    let server = McpServer::start(&sandbox);
    let Some(checks) = conformance(&sandbox, server.url(), scenario, version) else {
        return Vec::new();
    };
    assert!(checks.iter().any(|check| check.status == "SUCCESS"));
    let wrong = checks
        .into_iter()
        .filter(|check| check.status == "FAILURE" || check.status == "WARNING");
    wrong
        .map(|check| format!("{}: {}", check.id, check.message))
        .collect()
}

macro_rules! scenarios {
    ($version:literal $module:ident: $($name:ident $scenario:literal)*) => {
        mod $module {
            $(#[test] fn $name() { assert_eq!(super::faults($version, $scenario), [""; 0]); })*
        }
    };
}

scenarios! { "2025-11-25" handshake:
    initialize "server-initialize"
    ping "ping"
    tools "tools-list"
    rebinding "dns-rebinding-protection"
    sessions "server-session-lifecycle"
}

scenarios! { "2026-07-28" modern:
    stateless "server-stateless"
    tools "tools-list"
    rebinding "dns-rebinding-protection"
    caching "caching"
    headers "http-header-validation"
    streams "server-sse-multiple-streams"
}
