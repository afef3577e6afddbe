//! Answers to questions that are neither arithmetic nor shaped by a schema.

use fastrand::Rng;

use crate::dice::pick;

const OPENINGS: &[&str] = &[
    "In short, it depends on what you value most.",
    "There are three things worth saying here.",
    "The simplest reading is usually the right one.",
    "A careful look shows more than one side.",
    "Most people would begin with the practical question.",
];
const MIDDLES: &[&str] = &[
    "First, the common case is simpler than it looks.",
    "The cost of being wrong is small — so a quick trial settles it.",
    "What matters is the order in which the parts are done.",
    "An example helps: take the smallest one that still shows the problem.",
    "The known results agree with each other, within their margins.",
    "It helps to write down what would change your mind.",
    "The exceptions are few and can be listed.",
];
const CLOSINGS: &[&str] = &[
    "That should be enough to go on.",
    "If one of these does not hold, start there.",
    "Everything else follows from it.",
    "Check the result once, then trust it.",
];

/// What a model shows of its thoughts.
pub(super) fn thoughts(question: &str) -> String {
    let words = question.split_whitespace().count();
    format!("(simulated thought) The question has {words} words. Nothing speaks against an answer.")
}

/// A short text that names the question's beginning and says that nobody thought about it.
pub(super) fn about(question: &str, rng: &mut Rng) -> String {
    let first_line = question.trim().lines().next().unwrap_or_default();
    let topic = &first_line[..first_line.floor_char_boundary(80)];
    let dots = if topic.len() < first_line.len() {
        "…"
    } else {
        ""
    };
    let mut text = format!("(simulated) On “{topic}{dots}”:");
    let mut say = |sentences: &[&str], rng: &mut Rng| {
        text.push(' ');
        text.push_str(pick(rng, sentences).copied().unwrap_or_default());
    };
    say(OPENINGS, rng);
    for _ in 0..rng.usize(1..4) {
        say(MIDDLES, rng);
    }
    say(CLOSINGS, rng);
    text
}
