//! How many calls a client's model gets at once: `[mcp] limit`.

use antiphon_testkit::{
    Sandbox, Sim,
    clients::{McpClient, Told},
};
use serde_json::Value;

use super::{McpPlan, Sdk, answers, asks, for_sdks, lent, sandbox};

for_sdks! { all:
    a_client_gets_no_more_at_once_than_it_is_said_to_bear
}

for_sdks! { parallel:
    a_client_gets_as_many_at_once_as_it_is_said_to_bear
    a_client_that_answers_side_by_side_is_found_out_and_remembered
}

const TOPICS: [&str; 24] = [
    "ants", "bees", "cats", "dogs", "eels", "foxes", "geese", "hares", "ibises", "jays", "kites",
    "lynxes", "mice", "newts", "owls", "pigs", "quails", "rats", "seals", "toads", "voles",
    "wolves", "yaks", "zebras",
];

fn all_answered(told: &Told) {
    for (call, topic) in TOPICS.iter().enumerate() {
        answers(told, call, topic);
    }
    assert_eq!(told.sampled().len(), TOPICS.len());
}

fn a_client_gets_no_more_at_once_than_it_is_said_to_bear(sdk: Sdk) {
    let sandbox = sandbox();
    sandbox.write("antiphon.toml", "[mcp]\nlimit = 3\n");
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .calling(asks(&TOPICS));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    all_answered(&told);
    assert!(told.peak() <= 3, "{}", told.peak());
}

/// None is answered before all that may be out have come.
fn a_client_gets_as_many_at_once_as_it_is_said_to_bear(sdk: Sdk) {
    let sandbox = sandbox();
    sandbox.write("antiphon.toml", "[mcp]\nlimit = 5\n");
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .gathering(5)
        .calling(asks(&TOPICS));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    all_answered(&told);
    assert_eq!(told.peak(), 5);
}

/// What is remembered of the only client of a sandbox.
fn remembered(sandbox: &Sandbox) -> Value {
    let book = sandbox.read(".local/state/antiphon/mcp-clients.json");
    let book: Value = serde_json::from_str(&book).expect("a book of clients");
    let clients = book["clients"].as_object().expect("clients");
    assert_eq!(clients.len(), 1, "{book}");
    clients.values().next().cloned().expect("one")
}

fn a_client_that_answers_side_by_side_is_found_out_and_remembered(sdk: Sdk) {
    let sandbox = sandbox();
    sandbox.write("antiphon.toml", "[mcp]\nlimit = \"auto\"\n");
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox).lending(&sim);
    let Some(told) = McpClient::run(&sandbox, sdk, &plan.clone().calling(asks(&TOPICS))) else {
        return;
    };
    all_answered(&told);
    assert!(told.peak() > 1, "{}", told.peak());
    let works = remembered(&sandbox)["works"].as_u64().expect("a number");
    assert!(works > 1, "{works}");
    // the next session begins there: two are out before one is answered
    let plan = plan.gathering(2).calling(asks(&["ants", "bees"]));
    let told = McpClient::run(&sandbox, sdk, &plan).expect("it is installed");
    answers(&told, 0, "ants");
    answers(&told, 1, "bees");
}

/// What a probe shows against a client is held against many calls without it, so it takes a while.
#[test]
fn a_client_that_answers_one_by_one_is_found_out_and_remembered() {
    let sandbox = sandbox();
    sandbox.write("antiphon.toml", "[mcp]\nlimit = \"auto\"\n");
    let sim = Sim::start(&sandbox, ["--latency", "40ms"]);
    let mut plan = McpPlan::over_stdio(&sandbox).lending(&sim);
    for _ in 0..4 {
        plan = plan.calling(asks(&TOPICS));
    }
    let Some(told) = McpClient::run(&sandbox, Sdk::Python1, &plan) else {
        return;
    };
    for call in 0..4 * TOPICS.len() {
        answers(&told, call, TOPICS[call % TOPICS.len()]);
    }
    assert_eq!(sim.books().peak_in_flight(), 1);
    let remembered = remembered(&sandbox);
    assert_eq!(remembered["works"], 1, "{remembered}");
    assert_eq!(remembered["refused"], 2, "{remembered}");
    assert_eq!(remembered["reason"], "no_gain", "{remembered}");
}
