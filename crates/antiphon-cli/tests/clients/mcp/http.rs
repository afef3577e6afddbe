//! The era of handshakes, over Streamable HTTP: one server, many clients.

use antiphon_testkit::{McpServer, Signal, clients::McpClient};

use super::{McpPlan, Sdk, answers, asks, for_sdks, lent, sandbox};

for_sdks! { all:
    five_at_once_are_asked_one_by_one
    a_refusal_fails_only_what_was_refused
    a_call_that_is_given_up_makes_room_for_the_next
    nobody_waits_for_the_client_of_somebody_else
    a_client_that_is_killed_in_mid_call_is_missed_by_nobody
}

fn five_at_once_are_asked_one_by_one(sdk: Sdk) {
    let (sandbox, topics) = (sandbox(), ["ants", "bees", "cats", "dogs", "eels"]);
    let sim = lent(&sandbox);
    let server = McpServer::start(&sandbox);
    let plan = McpPlan::over_http(server.url())
        .lending(&sim)
        .calling(asks(&topics));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    assert_eq!(told.ready()["protocol"], "2025-11-25");
    for (call, topic) in topics.iter().enumerate() {
        answers(&told, call, topic);
    }
    assert_eq!(told.peak(), 1);
    assert_eq!(sim.books().answered(), 5);
}

fn a_refusal_fails_only_what_was_refused(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let server = McpServer::start(&sandbox);
    let plan = McpPlan::over_http(server.url())
        .lending(&sim)
        .refusing("bees")
        .calling(asks(&["ants", "bees", "cats"]));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    answers(&told, 0, "ants");
    let error = told.error(1);
    assert!(error.starts_with("rejected: "), "{error}");
    answers(&told, 2, "cats");
    assert_eq!(told.sampled().len(), 3);
}

fn a_call_that_is_given_up_makes_room_for_the_next(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let server = McpServer::start(&sandbox);
    let plan = McpPlan::over_http(server.url())
        .lending(&sim)
        .giving_up_at("bees")
        .calling(asks(&["bees"]))
        .calling(asks(&["cats"]));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    assert_eq!(told.end_of(0)["given_up"], true);
    answers(&told, 1, "cats");
}

/// Each session has a line of its own.
fn nobody_waits_for_the_client_of_somebody_else(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let server = McpServer::start(&sandbox);
    let plan = McpPlan::over_http(server.url()).lending(&sim);
    let slow = plan.clone().holding("bees").calling(asks(&["bees"]));
    let Some(mut slow) = McpClient::start(&sandbox, sdk, &slow) else {
        return;
    };
    slow.until("sampled", 1);
    let quick = plan.calling(asks(&["cats"]));
    let quick = McpClient::run(&sandbox, Sdk::TypeScript2, &quick).expect("it is installed");
    answers(&quick, 0, "cats");
    let slow = slow.kill();
    assert_eq!(slow.events("result").count(), 0);
}

fn a_client_that_is_killed_in_mid_call_is_missed_by_nobody(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let mut server = McpServer::start(&sandbox);
    let plan = McpPlan::over_http(server.url()).lending(&sim);
    let held = plan.clone().holding("bees").calling(asks(&["bees"]));
    let Some(mut client) = McpClient::start(&sandbox, sdk, &held) else {
        return;
    };
    client.until("sampled", 1);
    client.kill();
    let told = McpClient::run(&sandbox, sdk, &plan.calling(asks(&["cats"])));
    answers(&told.expect("it is installed"), 0, "cats");
    // the call of the client that is gone keeps nobody either
    let process = server.process();
    process.signal(Signal::Terminate);
    assert!(!process.until(|_| false));
}
