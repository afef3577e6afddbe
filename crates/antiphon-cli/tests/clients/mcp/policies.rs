//! What a refusal of the second of three means for the third, and for later calls: `[mcp] on_failure`.

use antiphon_testkit::{
    Sim,
    clients::{McpClient, Told},
};
use serde_json::Value;

use super::{McpPlan, Sdk, answers, asks, for_sdks, lent, map_reduce, sandbox};

for_sdks! { all:
    isolate_lets_it_fail_alone
    skip_group_ends_the_call_it_belongs_to
    poison_ends_all_later_calls
}

/// Three documents, of which the user refuses the second, and one question after it.
fn refused_the_second(sdk: Sdk, policy: &str) -> Option<(Told, Sim)> {
    let sandbox = sandbox();
    sandbox.write(
        "antiphon.toml",
        format!("[mcp]\non_failure = \"{policy}\"\n"),
    );
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .refusing("Known of bees")
        .calling([map_reduce(&["ants", "bees", "cats"])])
        .calling(asks(&["dogs"]));
    let told = McpClient::run(&sandbox, sdk, &plan)?;
    Some((told, sim))
}

/// The first stands, and the third has failed with the error of the second.
fn only_the_first_stands(answer: &Value) {
    let documents = &answer["documents"];
    assert!(documents[0]["text"].is_string(), "{answer}");
    assert_eq!(documents[1]["error"]["code"], "rejected", "{answer}");
    assert_eq!(documents[2]["error"], documents[1]["error"], "{answer}");
    assert_eq!(answer["failed"], 2, "{answer}");
}

fn isolate_lets_it_fail_alone(sdk: Sdk) {
    let Some((told, sim)) = refused_the_second(sdk, "isolate") else {
        return;
    };
    let answer = told.answer(0);
    assert!(answer["text"].is_string(), "{answer}");
    assert_eq!(answer["failed"], 1, "{answer}");
    assert_eq!(answer["documents"][1]["error"]["code"], "rejected");
    answers(&told, 1, "dogs");
    // three documents, the text out of two, and the question
    assert_eq!(told.sampled().len(), 5);
    assert_eq!(sim.books().answered(), 4);
}

fn skip_group_ends_the_call_it_belongs_to(sdk: Sdk) {
    let Some((told, sim)) = refused_the_second(sdk, "skip_group") else {
        return;
    };
    only_the_first_stands(told.answer(0));
    answers(&told, 1, "dogs");
    assert_eq!(told.sampled().len(), 3);
    assert_eq!(sim.books().answered(), 2);
}

fn poison_ends_all_later_calls(sdk: Sdk) {
    let Some((told, sim)) = refused_the_second(sdk, "poison") else {
        return;
    };
    only_the_first_stands(told.answer(0));
    let error = told.error(1);
    assert!(error.starts_with("rejected: "), "{error}");
    assert_eq!(told.sampled().len(), 2);
    assert_eq!(sim.books().answered(), 1);
}
