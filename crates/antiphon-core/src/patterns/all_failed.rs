//! One error for several.

use std::fmt::Display;

use crate::{Error, ErrorKind, Spent};

/// The error of a call whose parts, `what` in the plural, all failed. It tells each part's cause, sums attempts and usage, and is of the kind
/// that does least harm: it never hides that the call was given up on this side, it is transient if any part's is (the
/// request is sent again by the next run), and it stops the run only if every part's does.
pub(super) fn all_failed(what: &str, failures: Vec<(impl Display, Error)>) -> Error {
    let Some((_, worst)) = failures.iter().min_by_key(|(_, error)| rank(error)) else {
        return Error::new(
            ErrorKind::BadRequest,
            format!("there were no {what} to ask"),
        );
    };
    let causes: Vec<String> = failures
        .iter()
        .map(|(name, error)| format!("{name}: {}: {}", error.kind(), error.message()))
        .collect();
    let message = match &causes[..] {
        [only] => format!("all {what} failed: {only}"),
        all => format!("all {} {what} failed: {}", all.len(), all.join("; ")),
    };
    let attempts = failures.iter().map(|(_, error)| error.attempts()).sum();
    let mut error = Error::new(worst.kind(), message)
        .with_retry_after(worst.retry_after())
        .with_request_id(worst.request_id().map(str::to_owned))
        .with_attempts(attempts)
        .with_spent(Spent::sum(failures.iter().map(|(_, error)| error.spent())))
        .with_source(worst.clone());
    if let Some(status) = worst.status() {
        error = error.with_status(status);
    }
    if let Some(body) = worst.body() {
        error = error.with_body(body.clone());
    }
    if failures.iter().all(|(_, error)| error.stops_the_run()) {
        error = error.stopping_the_run();
    }
    error
}

fn rank(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Ledger => 0,
        ErrorKind::Stopped | ErrorKind::Budget => 1,
        // such a kind would stop the run whatever the others say
        _ if error.stops_the_run() => 4,
        kind if kind.is_transient() => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_stops_only_if_every_part_stops_it() {
        let auth = || {
            (
                "a/x",
                Error::new(ErrorKind::Auth, "wrong key").with_attempts(1),
            )
        };
        let slow = (
            "b/y",
            Error::new(ErrorKind::Timeout, "slow").with_attempts(3),
        );
        let refused = ("c/z", Error::new(ErrorKind::Refused, "no"));
        let mixed = all_failed("models", vec![auth(), refused.clone(), slow]);
        assert_eq!((mixed.kind(), mixed.attempts()), (ErrorKind::Timeout, 4));
        assert!(!mixed.stops_the_run());
        assert_eq!(
            mixed.message(),
            "all 3 models failed: a/x: auth: wrong key; c/z: refused: no; b/y: timeout: slow"
        );
        assert_eq!(
            all_failed("models", vec![auth(), refused]).kind(),
            ErrorKind::Refused
        );
        assert!(all_failed("models", vec![auth(), auth()]).stops_the_run());
    }

    #[test]
    fn a_call_given_up_on_this_side_stays_pending() {
        let stopped = ("a/x", Error::stopped("drained"));
        let bad = ("b/y", Error::new(ErrorKind::BadRequest, "no"));
        assert_eq!(
            all_failed("models", vec![bad, stopped]).kind(),
            ErrorKind::Stopped
        );
    }
}
