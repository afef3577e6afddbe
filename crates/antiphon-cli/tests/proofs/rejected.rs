//! One bad row in a hundred: one call for it, and the others go on.

use antiphon_testkit::{Sim, outputs};

use crate::{inputs, sandbox};

#[test]
fn a_rejected_row_is_asked_once_and_the_others_go_on() {
    let sandbox = sandbox();
    let mut input = String::new();
    let too_long = "word ".repeat(128_000);
    for number in 0..500 {
        input.push_str(&match number % 100 {
            7 => format!(
                "{{\"custom_id\":\"m{number}\",\"model\":\"missing\",\"prompt\":\"{number}\"}}\n"
            ),
            _ => inputs::row(number),
        });
    }
    input.push_str(&format!(
        "{{\"custom_id\":\"long\",\"model\":\"small\",\"prompt\":\"{too_long}\"}}\n"
    ));
    sandbox.write("in.jsonl", input);
    let sim = Sim::start(&sandbox, ["--latency", "2ms"]);
    sim.run(&sandbox, ["in.jsonl", "-o", "out.jsonl"])
        .run()
        .exits(1);
    let lines = outputs(&sandbox.read("out.jsonl"));
    assert_eq!(lines.len(), 501);
    for line in &lines {
        let expected = match line.custom_id() {
            "long" => Some("context_length"),
            name if name.starts_with('m') => Some("model_not_found"),
            _ => None,
        };
        assert_eq!(line.error_code(), expected, "{:?}", line.0);
        assert_eq!(line.attempts(), 1);
    }
    let books = sim.settled();
    assert_eq!(
        (books.asked(), books.answered(), books.rejected()),
        (501, 495, 6)
    );
}
