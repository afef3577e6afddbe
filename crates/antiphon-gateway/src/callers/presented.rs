//! The key that a request presents. Whatever else stands there, the outcome is a key or a refusal with status 401.

use antiphon::{Error, ErrorKind};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};

/// The header of Anthropic's clients.
const X_API_KEY: &str = "x-api-key";

/// A key as a header has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Presented<'a> {
    pub(super) bytes: &'a [u8],
    /// The header, for messages.
    pub(super) header: &'static str,
}

/// The key of a call.
///
/// # Errors
/// There is none, or it is not clear which one is meant.
pub(super) fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Error> {
    let bearer = match only(headers, AUTHORIZATION.as_str())? {
        Some(value) => Some(after_scheme(value, b"bearer").ok_or_else(|| {
            refused("`Authorization` must be `Bearer` and a key; or send the key as `x-api-key`")
        })?),
        None => None,
    };
    let plain = only(headers, X_API_KEY)?.map(<[u8]>::trim_ascii);
    let of = |bytes, header| Ok(Presented { bytes, header });
    let bearer = bearer.filter(|key| !key.is_empty());
    match (bearer, plain.filter(|key| !key.is_empty())) {
        (Some(bearer), Some(plain)) if bearer != plain => Err(refused(
            "`Authorization` and `x-api-key` hold different keys: send one of them",
        )),
        (Some(bearer), _) => of(bearer, "`Authorization`"),
        (None, Some(plain)) => of(plain, "`x-api-key`"),
        (None, None) => Err(refused(
            "no key was sent: send one as `Authorization: Bearer …` or as `x-api-key`",
        )),
    }
}

/// The key that a browser gives as a password.
pub(super) fn password(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = only(headers, AUTHORIZATION.as_str()).ok()??;
    let pair = BASE64_STANDARD
        .decode(after_scheme(value, b"basic")?)
        .ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let key = pair[colon + 1..].trim_ascii();
    (!key.is_empty()).then(|| key.to_vec())
}

/// The refusal of a key that nobody has. It is not repeated: it may be another service's.
pub(super) fn unknown(header: &str) -> Error {
    refused(&format!("the key in {header} is not known here"))
}

/// The value of a header that may stand there once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, Error> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        Some(_) => Err(refused(&format!("`{name}` was sent more than once"))),
        None => Ok(first.map(|value| value.as_bytes())),
    }
}

/// What follows the name of a scheme, which may be written in any case (RFC 9110, section 11.1).
fn after_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let value = value.trim_ascii();
    let (name, rest) = value.split_at_checked(scheme.len())?;
    let is_it = name.eq_ignore_ascii_case(scheme);
    let is_apart = rest.first().is_none_or(|byte| *byte == b' ');
    (is_it && is_apart).then(|| rest.trim_ascii())
}

fn refused(words: &str) -> Error {
    Error::new(ErrorKind::Auth, words).with_status(StatusCode::UNAUTHORIZED.as_u16())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    /// Headers by name.
    type Pairs<'a> = &'a [(&'static str, &'a [u8])];

    fn headers(pairs: Pairs<'_>) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value).unwrap();
            (HeaderName::from_static(name), value)
        });
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn a_key_is_read_from_either_header_and_never_guessed() {
        let key = |pairs: Pairs<'_>| {
            let headers = headers(pairs);
            presented(&headers)
                .map(|key| key.bytes.to_vec())
                .map_err(|error| (error.status(), error.message().to_owned()))
        };
        let is = |pairs: Pairs<'_>| assert_eq!(key(pairs), Ok(b"key".to_vec()));
        is(&[("authorization", b"Bearer key")]);
        is(&[("authorization", b"bEARER   key  ")]);
        is(&[("x-api-key", b" key ")]);
        is(&[("authorization", b"Bearer key"), ("x-api-key", b"key")]);
        is(&[("authorization", b"Bearer"), ("x-api-key", b"key")]);
        let refused: [(Pairs<'_>, &str); 9] = [
            (&[], "no key was sent"),
            (&[("authorization", b"")], "must be `Bearer`"),
            (&[("authorization", b"Bearer ")], "no key was sent"),
            (&[("authorization", b"Bearerkey")], "must be `Bearer`"),
            (&[("authorization", b"Basic a2V5")], "must be `Bearer`"),
            (&[("authorization", b"\xff\xfe key")], "must be `Bearer`"),
            (
                &[
                    ("authorization", b"Bearer key"),
                    ("authorization", b"Bearer key"),
                ],
                "`authorization` was sent more than once",
            ),
            (
                &[("x-api-key", b"a"), ("x-api-key", b"b")],
                "more than once",
            ),
            (
                &[("authorization", b"Bearer key"), ("x-api-key", b"other")],
                "different keys",
            ),
        ];
        for (pairs, told) in refused {
            let (status, message) = key(pairs).unwrap_err();
            assert_eq!(status, Some(401));
            assert!(message.contains(told), "{pairs:?}: {message}");
        }
    }

    #[test]
    fn a_password_is_a_key_whoever_the_user_is() {
        let password = |value: &[u8]| password(&headers(&[("authorization", value)]));
        // any:key, :key, a:b:c
        assert_eq!(password(b"Basic YW55OmtleQ=="), Some(b"key".to_vec()));
        assert_eq!(password(b"basic OmtleQ=="), Some(b"key".to_vec()));
        assert_eq!(password(b"Basic YTpiOmM="), Some(b"b:c".to_vec()));
        for nothing in [
            "Basic",
            "Basic ?",
            "Basic YW55",
            "Basic YW55Og==",
            "Bearer key",
        ] {
            assert_eq!(password(nothing.as_bytes()), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_key_or_a_refusal(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            name in prop::sample::select(vec!["authorization", "x-api-key"]),
        ) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.insert(name, value);
                password(&headers);
                if let Err(error) = presented(&headers) {
                    prop_assert_eq!(error.status(), Some(401));
                }
            }
        }
    }
}
