//! The caller's `traceparent` (W3C Trace Context, level 1, section 3.2).

use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt as _, TraceState},
};

/// The context of a caller; an empty one where the header is absent or broken, as the standard has it.
pub(super) fn context(traceparent: Option<&str>) -> Context {
    let parent = traceparent.and_then(parse);
    parent.map_or_else(Context::new, |parent| {
        Context::new().with_remote_span_context(parent)
    })
}

fn parse(header: &str) -> Option<SpanContext> {
    let mut parts = header.trim().split('-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = TraceId::from_hex(hex(parts.next()?, 32)?).ok()?;
    let span_id = SpanId::from_hex(hex(parts.next()?, 16)?).ok()?;
    let flags = u8::from_str_radix(hex(parts.next()?, 2)?, 16).ok()?;
    // later versions may say more, this one says all there is
    let has_more = parts.next().is_some();
    if version == "ff" || (version == "00" && has_more) {
        return None;
    }
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let context = SpanContext::new(trace_id, span_id, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

/// So many digits, in lower case.
fn hex(text: &str, digits: usize) -> Option<&str> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_digit)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_as_the_standard_has_it() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = parse(good).unwrap();
        assert_eq!(parent.trace_id().to_string(), &good[3..35]);
        assert_eq!(parent.span_id().to_string(), &good[36..52]);
        assert!(parent.is_sampled() && parent.is_remote());
        assert!(!parse(&good.replace("-01", "-00")).unwrap().is_sampled());
        let later = format!("cc{}-more", &good[2..]);
        assert!(parse(&later).unwrap().is_sampled());
        for bad in [
            String::new(),
            "00".to_owned(),
            good.to_uppercase(),
            format!("{good}-more"),
            format!("ff{}", &good[2..]),
            good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            good.replace("b7ad6b7169203331", &"0".repeat(16)),
            good.replace("-01", "-1"),
            good.replace("-01", "-+1"),
            good.replace("0af", "äaf"),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }
}
