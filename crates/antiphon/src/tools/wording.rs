//! What the command line says about jobs, in the words of the tools.

use std::{collections::BTreeMap, path::Path};

use antiphon_core::ErrorKind;

/// Flags that the tools have under another name.
const FLAGS: [(&str, &str); 9] = [
    ("or pass --fresh to move it aside", "or move that file away"),
    ("pass --input-format", "name `input_format`"),
    ("--input-format", "`input_format`"),
    ("--retry-failed", "`retry_failed`"),
    ("--prompt", "`prompt`"),
    ("--system", "`system`"),
    ("--schema", "`schema`"),
    ("--model", "`model`"),
    ("--concurrency", "`concurrency`"),
];

/// A message that names flags, for whoever passes arguments.
pub(super) fn of_tool(message: &str) -> String {
    let mut told = message.to_owned();
    for (flag, argument) in FLAGS {
        told = told.replace(flag, argument);
    }
    told
}

/// What to do about a job that has ended so.
pub(super) fn next(output: &Path, pending: u64, failures: &BTreeMap<&'static str, u64>) -> String {
    if pending > 0 {
        return format!(
            "{} pending: call run_file again with the same arguments, and it goes on without asking an \
             answered row again",
            count_of(pending, "is", "are")
        );
    }
    let read = format!("every row is done; the answers are in {}", output.display());
    let passing = |code: &str| ErrorKind::from_code(code).is_some_and(ErrorKind::is_transient);
    let count = |wanted: bool| -> u64 {
        let of_kind = failures.iter().filter(|(code, _)| passing(code) == wanted);
        of_kind.map(|(_, rows)| rows).sum()
    };
    match (count(true), count(false)) {
        (0, 0) => read,
        (0, lasting) => format!(
            "{read}; {} failed for good: mend what the failures say and call run_file again with `retry_failed`",
            count_of(lasting, "", "")
        ),
        (passing, _) => format!(
            "{read}; {} failed for a reason that may pass: call run_file again with the same arguments to ask once more",
            count_of(passing, "", "")
        ),
    }
}

/// So many rows, with the verb that follows.
fn count_of(rows: u64, is: &str, are: &str) -> String {
    let told = match rows {
        1 => format!("1 row {is}"),
        rows => format!("{rows} rows {are}"),
    };
    told.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_arguments_and_not_flags() {
        assert_eq!(
            of_tool("choose another output, or pass --fresh to move it aside"),
            "choose another output, or move that file away"
        );
        assert_eq!(
            of_tool("since the last run --prompt and --model changed"),
            "since the last run `prompt` and `model` changed"
        );
    }

    #[test]
    fn what_to_do_next_follows_from_what_is_left() {
        let output = Path::new("/d/out.jsonl");
        let told = |pending, failures: &[(&'static str, u64)]| {
            next(output, pending, &failures.iter().copied().collect())
        };
        assert!(told(3, &[("timeout", 1)]).starts_with("3 rows are pending"));
        assert!(told(0, &[]).ends_with("/d/out.jsonl"));
        assert!(told(0, &[("rejected", 2)]).contains("2 rows failed for good"));
        assert!(told(0, &[("rejected", 2), ("timeout", 1)]).contains("1 row failed for a reason"));
    }
}
