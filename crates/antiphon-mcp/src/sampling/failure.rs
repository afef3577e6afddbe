//! The errors that clients answer `sampling/createMessage` with.
//!
//! None of them is tried again by itself: whatever failed, a person may have been asked and would be asked once more. The
//! caller decides, or the next run of a file.

use antiphon_core::{Error, ErrorKind};
use serde_json::Value;

/// The user said no; the specification's example.
const REJECTED: i64 = -1;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
/// The time limit of the SDKs.
const REQUEST_TIMEOUT: i64 = -32001;
/// Since 2026-07-28.
const MISSING_CAPABILITY: i64 = -32021;

/// What the Python SDK says before its version 2, with empty data, whenever a handler of its client throws. Requests here are
/// those of the protocol, so that is far likelier than what the words say.
const HANDLER_FAILED: &str = "Invalid request parameters";

/// Bytes of the client's words that are passed on: every caller gets them, and some clients add a whole page.
const LONGEST: usize = 2000;

const METHOD: &str = "sampling/createMessage";

/// The error behind code, message and data of a JSON-RPC error.
pub(crate) fn failed(code: i64, message: &str, data: Option<&Value>) -> Error {
    let told = match bounded(message.trim()) {
        "" => "the client does not say why",
        told => told,
    };
    match code {
        REJECTED => rejected(told),
        INVALID_PARAMS if told == HANDLER_FAILED && data.is_some_and(|data| data == "") => {
            let message =
                "the client could not ask its model and does not say why: see its own log";
            Error::new(ErrorKind::ServerError, message).with_should_retry(Some(false))
        }
        INVALID_PARAMS => {
            let message = format!("the client refuses the request as malformed: {told}");
            Error::new(ErrorKind::BadRequest, message).not_sent()
        }
        METHOD_NOT_FOUND => lacks_method(told),
        // what the Python SDK says where a program has declared sampling and brings no handler
        INVALID_REQUEST if told.contains("not supported") => lacks_method(told),
        REQUEST_TIMEOUT => {
            let message = format!(
                "the time limit of the client ran out: {told}; where a person approves each call, raise the client's request \
                 timeout"
            );
            Error::new(ErrorKind::Timeout, message).with_should_retry(Some(false))
        }
        MISSING_CAPABILITY => {
            let names = data.map(capabilities_of).unwrap_or_default();
            let names = match names.as_str() {
                "" => told,
                names => bounded(names),
            };
            let message =
                format!("the client lacks a capability that the call needs, and says: {names}");
            Error::new(ErrorKind::Unsupported, message).not_sent()
        }
        _ if says_no(told) => rejected(told),
        _ => {
            let message = format!("the client could not ask its model: {told} (code {code})");
            Error::new(ErrorKind::ServerError, message).with_should_retry(Some(false))
        }
    }
}

fn bounded(told: &str) -> &str {
    &told[..told.floor_char_boundary(LONGEST)]
}

fn rejected(told: &str) -> Error {
    let message = format!("the user of the client declined the call: {told}");
    // no model has seen it, so nothing is billed
    Error::new(ErrorKind::Rejected, message).not_sent()
}

fn lacks_method(told: &str) -> Error {
    let message = format!(
        "the client does not know `{METHOD}`, though it has declared the capability `sampling`: {told}; configure a provider and \
         name its model"
    );
    Error::new(ErrorKind::Unsupported, message).not_sent()
}

/// Whether an error without a code of its own is a user's refusal: SDKs give whatever a handler throws the code 0 or -32603,
/// and the words are all that is left. A provider that says "rejected" is taken for a user then; neither is tried again.
/// "Refused" and "denied" alone are words of connections and of access.
fn says_no(told: &str) -> bool {
    let told = told.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| told.contains(word));
    let by_user = has(&["user", "human"]) && has(&["denied", "refused", "cancel", "disapproved"]);
    has(&["rejected", "declined"]) || by_user
}

/// The names in `requiredCapabilities`, as `sampling.tools`.
fn capabilities_of(data: &Value) -> String {
    let mut names = Vec::new();
    for (name, inner) in data["requiredCapabilities"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let inner = inner.as_object().filter(|inner| !inner.is_empty());
        match inner {
            None => names.push(format!("`{name}`")),
            Some(inner) => names.extend(inner.keys().map(|part| format!("`{name}.{part}`"))),
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use antiphon_core::Advice;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_of_words_is_cut_short() {
        let page = "é".repeat(1 << 20);
        let names: serde_json::Map<String, Value> = (0..9999)
            .map(|name| (name.to_string(), json!({})))
            .collect();
        let data = json!({"requiredCapabilities": names});
        for error in [
            failed(-1, &page, None),
            failed(0, &page, None),
            failed(-32021, "", Some(&data)),
        ] {
            assert!(
                error.message().len() < LONGEST + 200,
                "{}",
                error.message().len()
            );
        }
    }

    #[test]
    fn each_code_has_its_kind_and_none_is_tried_again() {
        use ErrorKind::{BadRequest, Rejected, ServerError, Timeout, Unsupported};
        let needs = json!({"requiredCapabilities": {"sampling": {"tools": {}}, "roots": {}}});
        let empty = json!("");
        let cases = [
            (
                -1,
                "User rejected sampling request",
                None,
                Rejected,
                "User rejected",
            ),
            (-1, "", None, Rejected, "does not say why"),
            (
                -32603,
                "Sampling request rejected",
                None,
                Rejected,
                "declined",
            ),
            (0, "declined by the reviewer", None, Rejected, "declined"),
            (-32000, "User cancelled", None, Rejected, "declined"),
            (
                -32603,
                "connection refused",
                None,
                ServerError,
                "code -32603",
            ),
            (0, "access denied", None, ServerError, "access denied"),
            (0, "", None, ServerError, "does not say why"),
            (
                -32602,
                "Invalid request parameters",
                Some(&empty),
                ServerError,
                "its own log",
            ),
            (
                -32602,
                "Invalid request parameters",
                None,
                BadRequest,
                "malformed",
            ),
            (
                -32602,
                "rejected: no messages",
                None,
                BadRequest,
                "no messages",
            ),
            (
                -32601,
                "Method not found",
                None,
                Unsupported,
                "`sampling/createMessage`",
            ),
            (
                -32600,
                "Sampling not supported",
                None,
                Unsupported,
                "`sampling/createMessage`",
            ),
            (-32600, "bad id", None, ServerError, "bad id"),
            (
                -32001,
                "Request timed out",
                None,
                Timeout,
                "raise the client's",
            ),
            (-32021, "missing", None, Unsupported, "missing"),
            (
                -32021,
                "missing",
                Some(&needs),
                Unsupported,
                "`sampling.tools`, `roots`",
            ),
        ];
        for (code, message, data, kind, expected) in cases {
            let error = failed(code, message, data);
            assert_eq!(error.kind(), kind, "{code} {message}");
            assert!(error.message().contains(expected), "{code}: {error}");
            let advice = error.advice();
            assert!(
                matches!(advice, Advice::Never | Advice::Elsewhere),
                "{advice:?}"
            );
            assert!(!error.stops_the_run(), "{code}");
        }
    }

    #[test]
    fn only_what_a_model_may_have_seen_may_be_billed() {
        for (code, may_be) in [(-1, false), (-32602, false), (-32001, true), (0, true)] {
            assert_eq!(failed(code, "x", None).may_be_billed(), may_be, "{code}");
        }
    }
}
