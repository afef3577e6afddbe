//! The era of handshakes, over stdin and stdout.

use antiphon_testkit::clients::McpClient;

use super::{McpPlan, Sdk, answers, asks, for_sdks, lent, sandbox};

for_sdks! { all:
    five_at_once_are_asked_one_by_one
    a_client_without_a_model_is_told_what_is_missing
    a_refusal_fails_only_what_was_refused
    a_call_that_is_given_up_makes_room_for_the_next
    a_client_that_is_killed_in_mid_call_takes_the_server_along
}

// mcp 1.30 stumbles over what its server says while it closes, and kills it
for_sdks! { parallel:
    what_a_call_has_asked_is_withdrawn_with_it
    a_client_that_leaves_in_mid_call_takes_the_server_along
}

fn five_at_once_are_asked_one_by_one(sdk: Sdk) {
    let (sandbox, topics) = (sandbox(), ["ants", "bees", "cats", "dogs", "eels"]);
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .calling(asks(&topics));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    assert_eq!(told.ready()["protocol"], "2025-11-25");
    assert_eq!(told.ready()["server"]["name"], "antiphon");
    for (call, topic) in topics.iter().enumerate() {
        answers(&told, call, topic);
        assert_eq!(told.answer(call)["model"], "lent");
    }
    assert_eq!(told.sampled().len(), 5);
    assert_eq!(told.peak(), 1);
    assert_eq!(sim.books().answered(), 5);
    assert_eq!(sim.books().peak_in_flight(), 1);
    assert_eq!(McpPlan::ended(&sandbox), "0\n");
}

fn a_client_without_a_model_is_told_what_is_missing(sdk: Sdk) {
    let sandbox = sandbox();
    let plan = McpPlan::over_stdio(&sandbox).calling(asks(&["ants"]));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    let error = told.error(0);
    assert!(error.starts_with("unsupported: "), "{error}");
    assert!(error.contains("`sampling`"), "{error}");
    assert!(told.sampled().is_empty());
}

fn a_refusal_fails_only_what_was_refused(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .refusing("bees")
        .calling(asks(&["ants", "bees", "cats"]));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    answers(&told, 0, "ants");
    let error = told.error(1);
    assert!(error.starts_with("rejected: "), "{error}");
    assert!(error.contains("User rejected sampling request"), "{error}");
    answers(&told, 2, "cats");
    // nobody is asked again what they have declined
    assert_eq!(told.sampled().len(), 3);
    assert_eq!(sim.books().asked(), 2);
}

/// The client answers what the call had asked all the same: that belongs to nobody any more.
fn a_call_that_is_given_up_makes_room_for_the_next(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .giving_up_at("bees")
        .calling(asks(&["bees"]))
        .calling(asks(&["cats"]));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    assert_eq!(told.end_of(0)["given_up"], true);
    answers(&told, 1, "cats");
    assert_eq!(McpPlan::ended(&sandbox), "0\n");
}

/// Not the very first thing that is asked: it has the number 0, which the TypeScript client of the 1.x line takes for none.
fn what_a_call_has_asked_is_withdrawn_with_it(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .holding("ees")
        .giving_up_at("bees")
        .calling(asks(&["ants"]))
        .calling(asks(&["bees"]))
        .calling(asks(&["trees"]));
    let Some(mut client) = McpClient::start(&sandbox, sdk, &plan) else {
        return;
    };
    client.until("withdrawn", 1);
    client.until("sampled", 3);
    let told = client.kill();
    let withdrawn = told.events("withdrawn").next().expect("one");
    assert_eq!(withdrawn["text"], "Tell me of bees");
}

fn a_client_that_leaves_in_mid_call_takes_the_server_along(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .holding("bees")
        .leaving_at("bees")
        .calling(asks(&["bees", "more bees"]));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    // it may still hear that its calls have failed
    let mut results = told.events("result");
    assert!(results.all(|event| event["result"]["isError"] == true));
    assert_eq!(sim.books().asked(), 0);
    assert_eq!(McpPlan::ended(&sandbox), "0\n");
}

fn a_client_that_is_killed_in_mid_call_takes_the_server_along(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .holding("bees")
        .calling(asks(&["bees", "more bees"]));
    let Some(mut client) = McpClient::start(&sandbox, sdk, &plan) else {
        return;
    };
    client.until("sampled", 1);
    client.kill();
    assert_eq!(McpPlan::ended(&sandbox), "0\n");
}
