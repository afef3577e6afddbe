//! One error for several.

use std::fmt::Display;

use crate::{Error, ErrorKind, Spent};

/// The error of a call whose parts, `what` in the plural, all failed. It tells each part's cause, sums attempts and usage, and is of the kind
/// that does least harm: it never hides that the call was given up on this side, it is transient if any part's is (the
/// request is sent again by the next run), and it stops the run only if every part's does.
pub(super) fn all_failed(what: &str, failures: Vec<(impl Display, Error)>) -> Error {
    let Some((_, worst)) = failures.iter().min_by_key(|(_, error)| rank(error)) else {
        return nobody(what);
    };
    let mut error = standing_for(worst.kind(), worst, what, &failures);
    if failures.iter().all(|(_, error)| error.stops_the_run()) {
        error = error.stopping_the_run();
    }
    error
}

/// The same for a caller who waits, of parts that were asked one after the other: the last that a provider has really
/// said, since one that was turned away on this side says less. Where each is only busy, so is the whole, and it says
/// when the first of them is not.
pub(super) fn last_failed(what: &str, failures: Vec<(impl Display, Error)>) -> Error {
    let errors = || failures.iter().rev().map(|(_, error)| error);
    let said = errors().find(|error| error.attempts() > 0);
    let Some(last) = said.or_else(|| errors().next()) else {
        return nobody(what);
    };
    let is = |kind| move |error: &Error| error.kind() == kind;
    let (limited, overloaded) = (is(ErrorKind::RateLimited), is(ErrorKind::Overloaded));
    let is_busy = |error: &Error| limited(error) || overloaded(error);
    if !errors().all(is_busy) {
        return standing_for(last.kind(), last, what, &failures);
    }
    let kind = match errors().all(limited) {
        true => ErrorKind::RateLimited,
        false => ErrorKind::Overloaded,
    };
    let stands = errors().find(|error| error.kind() == kind && error.attempts() > 0);
    let soonest = errors().filter_map(Error::retry_after).min();
    standing_for(kind, stands.unwrap_or(last), what, &failures).with_retry_after(soonest)
}

fn nobody(what: &str) -> Error {
    let message = format!("there were no {what} to ask");
    Error::new(ErrorKind::BadRequest, message)
}

/// An error of this kind for all, with what the provider has said in this one of them.
fn standing_for(
    kind: ErrorKind,
    one: &Error,
    what: &str,
    failures: &[(impl Display, Error)],
) -> Error {
    let causes: Vec<String> = failures
        .iter()
        .map(|(name, error)| format!("{name}: {}: {}", error.kind(), error.message()))
        .collect();
    let message = match &causes[..] {
        [only] => format!("all {what} failed: {only}"),
        all => format!("all {} {what} failed: {}", all.len(), all.join("; ")),
    };
    let attempts = failures.iter().map(|(_, error)| error.attempts()).sum();
    let mut error = Error::new(kind, message)
        .with_retry_after(one.retry_after())
        .with_request_id(one.request_id().map(str::to_owned))
        .with_attempts(attempts)
        .with_spent(Spent::sum(failures.iter().map(|(_, error)| error.spent())))
        .with_source(one.clone());
    if one.kind() != kind {
        return error;
    }
    if let Some(status) = one.status() {
        error = error.with_status(status);
    }
    if let Some(body) = one.body() {
        error = error.with_body(body.clone());
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

    #[test]
    fn a_caller_hears_what_the_last_provider_said() {
        let down = Error::new(ErrorKind::ServerError, "down").with_status(500);
        let long = Error::new(ErrorKind::ContextLength, "too long").with_status(400);
        let busy = |kind, seconds| {
            let after = Some(std::time::Duration::from_secs(seconds));
            Error::new(kind, "busy").with_retry_after(after)
        };
        let away = busy(ErrorKind::Overloaded, 7);
        let asked = |error: &Error| error.clone().with_attempts(2);
        let told = |links: &[Error]| {
            let named = links.iter().map(|error| ("x/y", error.clone()));
            let error = last_failed("links", named.collect());
            let after = error.retry_after().map(|after| after.as_secs());
            (error.kind(), error.status(), after, error.attempts())
        };
        let (down, long) = (asked(&down), asked(&long));
        let context = (ErrorKind::ContextLength, Some(400), None, 4);
        assert_eq!(told(&[down.clone(), long.clone()]), context);
        let server = (ErrorKind::ServerError, Some(500), None, 4);
        assert_eq!(told(&[long, down.clone()]), server);
        let server = (ErrorKind::ServerError, Some(500), None, 2);
        assert_eq!(told(&[down, away.clone()]), server, "one was not asked");

        let limited = |seconds| asked(&busy(ErrorKind::RateLimited, seconds).with_status(429));
        let all_limited = (ErrorKind::RateLimited, Some(429), Some(20), 4);
        assert_eq!(told(&[limited(20), limited(60)]), all_limited);
        let mixed = (ErrorKind::Overloaded, None, Some(7), 2);
        assert_eq!(told(&[limited(20), away.clone()]), mixed);
        assert_eq!(told(&[away]), (ErrorKind::Overloaded, None, Some(7), 0));
    }
}
