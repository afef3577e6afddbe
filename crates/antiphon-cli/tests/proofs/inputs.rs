//! Inputs of the proofs.

use std::fmt::Write;

/// Faults of a bad day, a few percent together, none of which pauses the whole account for long.
pub(crate) const FAULTS: [&str; 10] = [
    "--fail",
    "503=0.01",
    "--fail",
    "reset=0.01",
    "--fail",
    "truncate=0.01",
    "--fail",
    "garbage=0.005",
    "--fail",
    "retry-after-ms=0.002",
];

/// Rows with a name and a prompt of their own.
pub(crate) fn rows(count: u64) -> String {
    rows_of(0..count)
}

/// The same for some numbers.
pub(crate) fn rows_of(numbers: impl IntoIterator<Item = u64>) -> String {
    let mut text = String::new();
    for number in numbers {
        text.push_str(&row(number));
    }
    text
}

/// One line.
pub(crate) fn row(number: u64) -> String {
    let mut line = String::new();
    let _infallible = writeln!(
        line,
        "{{\"custom_id\":\"c{number}\",\"model\":\"small\",\"prompt\":\"question {number}\"}}"
    );
    line
}
