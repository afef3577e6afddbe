//! The era without sessions, 2026-07-28: what a tool asks of its client is the result of its call, and the client makes the
//! call again with the answers.

use antiphon_testkit::{McpServer, Sandbox, Sim, clients::McpClient};

use super::{McpPlan, Sdk, answers, asks, for_sdks, lent, map_reduce, sandbox};

for_sdks! { modern:
    five_at_once_are_asked_together
    five_at_once_are_asked_together_over_http
    documents_are_asked_in_one_round
    documents_are_asked_in_one_round_over_http
    a_client_without_a_model_is_told_what_is_missing
    a_refusal_ends_the_call_in_the_client_and_nothing_else
    a_client_that_is_killed_in_mid_call_takes_the_server_along
}

const TOPICS: [&str; 5] = ["ants", "bees", "cats", "dogs", "eels"];

fn over_stdio(sandbox: &Sandbox, sim: &Sim) -> McpPlan {
    McpPlan::over_stdio(sandbox).modern().lending(sim)
}

fn over_http(server: &McpServer, sim: &Sim) -> McpPlan {
    McpPlan::over_http(server.url()).modern().lending(sim)
}

/// The calls do not wait for one another: none is answered before all have come.
fn five_at_once(sdk: Sdk, sandbox: &Sandbox, plan: McpPlan, sim: &Sim) {
    let plan = plan.gathering(5).calling(asks(&TOPICS));
    let Some(told) = McpClient::run(sandbox, sdk, &plan) else {
        return;
    };
    assert_eq!(told.ready()["protocol"], "2026-07-28");
    for (call, topic) in TOPICS.iter().enumerate() {
        answers(&told, call, topic);
        assert_eq!(told.answer(call)["model"], "lent");
    }
    assert_eq!(told.sampled().len(), 5);
    assert_eq!(told.peak(), 5);
    assert_eq!(sim.books().answered(), 5);
}

fn five_at_once_are_asked_together(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    five_at_once(sdk, &sandbox, over_stdio(&sandbox, &sim), &sim);
}

fn five_at_once_are_asked_together_over_http(sdk: Sdk) {
    let sandbox = sandbox();
    let (sim, server) = (lent(&sandbox), McpServer::start(&sandbox));
    five_at_once(sdk, &sandbox, over_http(&server, &sim), &sim);
}

/// All documents travel in one list, and the answers come back once: the reduce step is the second round of two.
fn documents_in_one_round(sdk: Sdk, sandbox: &Sandbox, plan: McpPlan, sim: &Sim) {
    let plan = plan.gathering(5).calling([map_reduce(&TOPICS)]);
    let Some(told) = McpClient::run(sandbox, sdk, &plan) else {
        return;
    };
    let answer = told.answer(0);
    assert!(answer["text"].is_string(), "{answer}");
    assert_eq!(answer["failed"], 0);
    for (document, topic) in TOPICS.iter().enumerate() {
        assert_eq!(answer["documents"][document]["id"], *topic);
        assert!(answer["documents"][document]["text"].is_string());
    }
    // each document once, then the reduce step: nothing is asked again when the tool begins anew
    assert_eq!(told.sampled().len(), 6);
    assert_eq!(told.peak(), 5);
    assert_eq!(sim.books().distinct(), 6);
}

fn documents_are_asked_in_one_round(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    documents_in_one_round(sdk, &sandbox, over_stdio(&sandbox, &sim), &sim);
}

fn documents_are_asked_in_one_round_over_http(sdk: Sdk) {
    let sandbox = sandbox();
    let (sim, server) = (lent(&sandbox), McpServer::start(&sandbox));
    documents_in_one_round(sdk, &sandbox, over_http(&server, &sim), &sim);
}

fn a_client_without_a_model_is_told_what_is_missing(sdk: Sdk) {
    let sandbox = sandbox();
    let plan = McpPlan::over_stdio(&sandbox)
        .modern()
        .calling(asks(&["ants"]));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    let end = told.end_of(0);
    assert_eq!(end["code"], -32021, "{end}");
    let message = end["message"].as_str().expect("words");
    assert!(message.contains("`sampling`"), "{message}");
    assert!(told.sampled().is_empty());
}

/// Both libraries take a refusal for the end of the call and tell the server nothing: no policy of the queue can help.
fn a_refusal_ends_the_call_in_the_client_and_nothing_else(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let plan = over_stdio(&sandbox, &sim)
        .gathering(3)
        .refusing("Known of bees")
        .calling([map_reduce(&["ants", "bees", "cats"])])
        .calling(asks(&["dogs"]));
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    let end = told.end_of(0);
    assert_eq!(end["event"], "failed", "{end}");
    assert_eq!(end["code"], -1, "{end}");
    answers(&told, 1, "dogs");
}

fn a_client_that_is_killed_in_mid_call_takes_the_server_along(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let plan = over_stdio(&sandbox, &sim)
        .holding("bees")
        .calling(asks(&["bees"]));
    let Some(mut client) = McpClient::start(&sandbox, sdk, &plan) else {
        return;
    };
    client.until("sampled", 1);
    client.kill();
    assert!(McpPlan::ended(&sandbox).ends_with("0\n"));
}
