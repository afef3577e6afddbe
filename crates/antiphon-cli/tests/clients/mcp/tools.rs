//! Tools that ask several things in one call.

use antiphon_testkit::clients::McpClient;

use super::{McpPlan, Sdk, for_sdks, lent, map_reduce, sandbox};

for_sdks! { all:
    the_parts_of_a_call_are_asked_in_order_and_told_as_progress
    a_part_that_is_refused_is_missing_alone
}

fn the_parts_of_a_call_are_asked_in_order_and_told_as_progress(sdk: Sdk) {
    let (sandbox, topics) = (sandbox(), ["ants", "bees", "cats", "dogs", "eels"]);
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .calling([map_reduce(&topics)]);
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    let answer = told.answer(0);
    assert!(answer["text"].is_string(), "{answer}");
    // what the protocol does not tell is not known
    assert!(answer["cost_usd"].is_null(), "{answer}");
    assert!(answer["usage"].is_null(), "{answer}");
    let sampled = told.sampled();
    assert_eq!(sampled.len(), 6);
    for (text, topic) in sampled.iter().zip(topics) {
        assert!(text.contains(&format!("Known of {topic}")), "{sampled:?}");
    }
    assert_eq!(told.peak(), 1);
    assert_eq!(sim.books().peak_in_flight(), 1);
    let progress = told.events("progress");
    let done: Vec<f64> = progress
        .inspect(|event| assert_eq!(event["total"].as_f64(), Some(6.0), "{event}"))
        .filter_map(|event| event["done"].as_f64())
        .collect();
    assert!(!done.is_empty());
    assert!(done.is_sorted_by(|one, next| one < next), "{done:?}");
}

fn a_part_that_is_refused_is_missing_alone(sdk: Sdk) {
    let sandbox = sandbox();
    let sim = lent(&sandbox);
    let plan = McpPlan::over_stdio(&sandbox)
        .lending(&sim)
        .refusing("Known of bees")
        .calling([map_reduce(&["ants", "bees", "cats"])]);
    let Some(told) = McpClient::run(&sandbox, sdk, &plan) else {
        return;
    };
    let answer = told.answer(0);
    assert!(answer["text"].is_string(), "{answer}");
    assert_eq!(answer["failed"], 1);
    let documents = &answer["documents"];
    assert!(documents[0]["text"].is_string(), "{answer}");
    assert_eq!(documents[1]["error"]["code"], "rejected", "{answer}");
    assert!(documents[2]["text"].is_string(), "{answer}");
    assert_eq!(told.sampled().len(), 4);
}
