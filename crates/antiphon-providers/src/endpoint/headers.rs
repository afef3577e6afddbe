//! Headers of a request: those of the format, over them the caller's, over them the configured ones, over all the key.

use antiphon_core::ChatRequest;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialects::Dialect;

/// A list of early features: the caller's are added to the configured ones.
const BETA: &str = "anthropic-beta";

/// The wire version. It decides what is written, so it is settled before.
const VERSION: &str = "anthropic-version";

/// The version of Anthropic's wire that a caller of that wire asks for.
pub(super) fn version_of<'a>(request: &'a ChatRequest, dialect: &dyn Dialect) -> Option<&'a str> {
    let origin = request.origin.as_deref()?;
    let is_own = origin.wire == dialect.name();
    let mut headers = origin.headers.iter().filter(|_| is_own);
    headers
        .find(|(name, _)| *name == VERSION)
        .map(|(_, version)| version.trim())
}

/// Adds the caller's headers that this dialect understands, and the configured ones.
pub(super) fn add(
    headers: &mut HeaderMap,
    request: &ChatRequest,
    dialect: &dyn Dialect,
    configured: &HeaderMap,
) {
    let callers = request.origin.iter().flat_map(|origin| &origin.headers);
    for (name, value) in callers {
        if !is_for(name, dialect.name()) {
            continue;
        }
        // what no header can hold was none
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    for (name, value) in configured {
        let joined = headers
            .get(name)
            .filter(|_| name == BETA)
            .and_then(|callers| join(value, callers));
        headers.insert(name, joined.unwrap_or_else(|| value.clone()));
    }
}

fn is_for(name: &str, dialect: &str) -> bool {
    match name.split('-').next() {
        _ if name == VERSION => false,
        Some("anthropic") => dialect.starts_with("anthropic"),
        Some("openai") => dialect.starts_with("openai"),
        _ => true,
    }
}

/// Both lists as one, each feature once.
fn join(configured: &HeaderValue, callers: &HeaderValue) -> Option<HeaderValue> {
    let mut features: Vec<&str> = Vec::new();
    for list in [configured, callers] {
        for feature in list.to_str().ok()?.split(',').map(str::trim) {
            if !feature.is_empty() && !features.contains(&feature) {
                features.push(feature);
            }
        }
    }
    HeaderValue::from_str(&features.join(",")).ok()
}
