//! What a client has answered to one of the requests of a round.

use antiphon_core::Error;
use serde_json::Value;

use crate::sampling::failed;

/// The code of a person who declines.
const DECLINED: i64 = -1;

/// The result of `sampling/createMessage`, or why there is none. What is neither is passed on: the reader of results has
/// the words for it.
///
/// The protocol knows only results here, and a client that declines repeats nothing. Clients that put an error in the place
/// of a result are understood all the same, and so is the answer to an elicitation that declines. `null` stands for a call
/// that was left out twice.
///
/// # Errors
/// As [`failed`].
pub(super) fn read(response: &Value) -> Result<Value, Error> {
    if response.is_null() {
        return Err(failed(DECLINED, "it sent no answer", None));
    }
    if response["role"].is_string() {
        // a message, whatever fields of its own the client adds
        return Ok(response.clone());
    }
    if matches!(response["action"].as_str(), Some("decline" | "cancel")) {
        return Err(failed(DECLINED, "", None));
    }
    let error = if response["error"].is_object() {
        &response["error"]
    } else {
        response
    };
    match error["code"].as_i64() {
        Some(code) => {
            let words = error["message"].as_str().unwrap_or_default();
            Err(failed(code, words, error.get("data")))
        }
        None => Ok(response.clone()),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_core::ErrorKind;
    use serde_json::json;

    use super::*;

    fn kind(response: Value) -> Option<ErrorKind> {
        read(&response).err().map(|error| error.kind())
    }

    #[test]
    fn whoever_declines_is_understood_in_every_shape() {
        let shapes = [
            json!(null),
            json!({"code": -1, "message": "User rejected sampling request"}),
            json!({"error": {"code": -1, "message": "no"}}),
            json!({"action": "decline"}),
            json!({"action": "cancel"}),
        ];
        for shape in shapes {
            assert_eq!(kind(shape.clone()), Some(ErrorKind::Rejected), "{shape}");
        }
    }

    #[test]
    fn a_failure_of_the_client_is_none_of_the_person() {
        let failed = json!({"code": -32603, "message": "no model configured"});
        let error = read(&failed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ServerError);
        assert!(error.message().contains("no model configured"), "{error}");
    }

    #[test]
    fn a_result_and_what_is_none_are_passed_on() {
        let result = json!({"role": "assistant", "content": {"type": "text", "text": "4"}});
        assert_eq!(read(&result).unwrap(), result);
        let more = json!({"role": "assistant", "content": [], "code": 200, "action": "decline"});
        assert_eq!(read(&more).unwrap(), more);
        assert_eq!(read(&json!(7)).unwrap(), json!(7));
    }
}
