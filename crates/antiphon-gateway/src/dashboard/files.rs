//! The files of the page.

use std::sync::LazyLock;

use antiphon::core::Fingerprint;
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// A file in the binary.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: &'static str,
    kind: &'static str,
    text: &'static str,
    etag: LazyLock<HeaderValue, fn() -> HeaderValue>,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! file {
    ($path:literal, $kind:ident, $name:literal) => {
        File {
            path: $path,
            kind: $kind,
            text: include_str!(concat!("page/", $name)),
            etag: LazyLock::new(|| etag(include_str!(concat!("page/", $name)))),
        }
    };
}

/// All that the page is made of.
pub(super) static FILES: [File; 7] = [
    file!("/", HTML, "index.html"),
    file!("/dashboard/page.css", CSS, "page.css"),
    file!("/dashboard/page.js", SCRIPT, "page.js"),
    file!("/dashboard/events.js", SCRIPT, "events.js"),
    file!("/dashboard/charts.js", SCRIPT, "charts.js"),
    file!("/dashboard/tables.js", SCRIPT, "tables.js"),
    file!("/dashboard/numbers.js", SCRIPT, "numbers.js"),
];

impl File {
    /// The file, or that it has not changed.
    pub(super) fn response(&self, asked: &HeaderMap) -> Response<Body> {
        let has_it = asked
            .get(header::IF_NONE_MATCH)
            .and_then(|tags| tags.to_str().ok())
            .is_some_and(|tags| {
                let mut tags = tags.split(',').map(str::trim);
                tags.any(|tag| *self.etag == tag.strip_prefix("W/").unwrap_or(tag) || tag == "*")
            });
        let mut response = Response::new(Body::empty());
        if has_it {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Body::from(self.text);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::ETAG, self.etag.clone());
        // kept, and asked about each time: another release may be running
        let no_cache = HeaderValue::from_static("no-cache");
        headers.insert(header::CACHE_CONTROL, no_cache);
        response
    }
}

fn etag(text: &str) -> HeaderValue {
    let fingerprint = Fingerprint::of_bytes("dashboard file", text.as_bytes());
    let digits: String = fingerprint.as_bytes()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::try_from(format!("\"{digits}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}
