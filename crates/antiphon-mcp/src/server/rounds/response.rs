//! What a client has answered to one of the requests of a round.

use antiphon_core::{Error, ErrorKind};
use serde_json::Value;

/// The code of a person who declines.
const DECLINED: i64 = -1;

/// The result of `sampling/createMessage`, or why there is none. What is neither is passed on: the reader of results has
/// the words for it.
///
/// The protocol knows only results here, and a client that declines repeats nothing. Clients that put an error in the place
/// of a result are understood all the same. `null` stands for a call that was left out twice.
///
/// # Errors
/// [`ErrorKind::Rejected`]: it was declined. [`ErrorKind::ServerError`]: the client failed.
pub(super) fn read(response: &Value) -> Result<Value, Error> {
    if response.is_null() {
        let message = "the client declined the call: it sent no answer to it";
        return Err(Error::new(ErrorKind::Rejected, message));
    }
    if matches!(response["action"].as_str(), Some("decline" | "cancel")) {
        let message = "the user declined the call";
        return Err(Error::new(ErrorKind::Rejected, message));
    }
    let error = if response["error"].is_object() {
        &response["error"]
    } else {
        response
    };
    match (error["code"].as_i64(), error["message"].as_str()) {
        (Some(DECLINED), words) => {
            let message = format!(
                "the user declined the call: {}",
                words.unwrap_or("no reason")
            );
            Err(Error::new(ErrorKind::Rejected, message))
        }
        (Some(code), words) => {
            let words = words.unwrap_or("no reason");
            let message = format!("the client failed to ask its model ({code}): {words}");
            Err(Error::new(ErrorKind::ServerError, message).with_should_retry(Some(false)))
        }
        (None, _) => Ok(response.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        assert_eq!(read(&json!(7)).unwrap(), json!(7));
    }
}
