//! Bodies of requests: bytes to fields.

use antiphon::{Error, ErrorKind};
use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

/// The largest body that is read, as Anthropic has it.
const LARGEST_BODY: usize = 32 << 20;

/// Reads a body to its end.
///
/// # Errors
/// It is too large, or the caller went away.
pub(crate) async fn read(_headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the request is larger than {} MiB", LARGEST_BODY >> 20);
            Err(Error::new(ErrorKind::LineTooLong, message))
        }
        Err(_) => Err(Error::new(
            ErrorKind::BadRequest,
            "the request ended too early",
        )),
    }
}

/// The fields of a body.
///
/// # Errors
/// It is not a JSON object.
pub(crate) fn fields(body: &[u8]) -> Result<Map<String, Value>, Error> {
    let refuse = |message: String| Error::new(ErrorKind::BadRequest, message);
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(refuse("the body is JSON, but not an object".to_owned())),
        Err(error) => Err(refuse(format!("the body is not JSON: {error}"))),
    }
}
