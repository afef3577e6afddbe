//! The official suite of conformance tests. Most of its scenarios want a server with tools, prompts and resources that are
//! made for the suite; these are the ones that any server can be judged by.

use antiphon_testkit::{
    McpServer,
    clients::{Check, conformance},
};

use super::sandbox;

/// What the suite finds wrong, but for what it cannot try because a tool of its own is missing.
fn faults(version: &str, scenario: &str) -> Option<Vec<Check>> {
    let sandbox = sandbox();
    let server = McpServer::start(&sandbox);
    let checks = conformance(&sandbox, server.url(), scenario, version)?;
    assert!(checks.iter().any(|check| check.status == "SUCCESS"));
    let is_wrong = |check: &Check| check.status == "FAILURE" || check.status == "WARNING";
    let was_tried = |check: &Check| !check.message.starts_with("Not testable");
    let wrong = checks.into_iter().filter(is_wrong).filter(was_tried);
    Some(wrong.collect())
}

/// Departures are those that are meant, by their names: no fewer, and no others.
fn judged(version: &str, scenario: &str, departures: &[&str]) {
    let Some(faults) = faults(version, scenario) else {
        return;
    };
    let names: Vec<&str> = faults.iter().map(|check| check.id.as_str()).collect();
    assert_eq!(names, departures, "{faults:#?}");
}

macro_rules! scenarios {
    ($version:literal $module:ident: $($name:ident $scenario:literal $departures:tt)*) => {
        mod $module {
            $(#[test] fn $name() { super::judged($version, $scenario, &$departures); })*
        }
    };
}

// caching: the suite wants lists of what there is none of
scenarios! { "2025-11-25" handshake:
    initialize "server-initialize" []
    ping "ping" []
    tools "tools-list" []
    sessions "server-session-lifecycle" []
    rebinding "dns-rebinding-protection" []
}

scenarios! { "2026-07-28" modern:
    stateless "server-stateless" []
    tools "tools-list" []
    caching "caching" [
        "sep-2549-prompts-list-caching-hints",
        "sep-2549-resources-list-caching-hints",
        "sep-2549-resources-templates-list-caching-hints",
    ]
    headers "http-header-validation" []
    streams "server-sse-multiple-streams" []
    rebinding "dns-rebinding-protection" []
}
