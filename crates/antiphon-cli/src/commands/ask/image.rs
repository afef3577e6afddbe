//! `--image`.

use std::path::Path;

use antiphon::core::ChatRequest;
use anyhow::{Context, Result, bail};

/// Media types by the endings of file names: what the providers take.
const TYPES: [(&str, &str); 5] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
];

/// The request with an image beside its words. The provider fetches a URL; a file is sent along.
pub(super) fn with_image(request: ChatRequest, image: &str) -> Result<ChatRequest> {
    let starts_with = |scheme: &str| {
        let start = image.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if ["http://", "https://", "data:"]
        .into_iter()
        .any(starts_with)
    {
        return Ok(request.with_image_url(image));
    }
    let ending = Path::new(image).extension().unwrap_or_default();
    let known = TYPES
        .iter()
        .find(|(known, _)| ending.eq_ignore_ascii_case(known));
    let Some((_, media_type)) = known else {
        bail!("--image {image}: the name must end in .png, .jpg, .jpeg, .gif or .webp");
    };
    let bytes = std::fs::read(image).with_context(|| format!("cannot read --image {image}"))?;
    if bytes.is_empty() {
        bail!("--image {image} is empty");
    }
    Ok(request.with_image(media_type, &bytes))
}
