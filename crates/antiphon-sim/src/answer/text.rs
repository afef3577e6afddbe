//! Strings that fit a schema's format, pattern and length.

use fastrand::Rng;
use serde_json::{Map, Value};

use super::pattern;
use crate::dice::pick;

const WORDS: &[&str] = &[
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "iris", "juniper",
    "kelp", "lotus", "maple", "north", "opal", "pine", "quartz", "river", "slate", "tide", "umber",
    "violet", "willow", "zephyr",
];

/// Draws of a pattern before its length bounds are given up.
const MOST_TRIES: u32 = 64;

/// A string for this schema.
pub(super) fn string(schema: &Map<String, Value>, rng: &mut Rng) -> String {
    let bound = |name: &str| {
        schema
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
    };
    let (least, most) = (
        bound("minLength").unwrap_or(0),
        bound("maxLength").unwrap_or(usize::MAX),
    );
    let text = |name: &str| schema.get(name).and_then(Value::as_str);
    if let Some(pattern) = text("pattern") {
        let drawn = (0..MOST_TRIES).filter_map(|_| pattern::matching(pattern, rng));
        let mut fallback = None;
        for text in drawn {
            if (least..=most).contains(&text.chars().count()) {
                return text;
            }
            fallback = fallback.or(Some(text));
        }
        if let Some(text) = fallback {
            return text;
        }
    }
    if let Some(text) = text("format").and_then(|format| formatted(format, rng)) {
        return text;
    }
    words(least, most, rng)
}

fn word(rng: &mut Rng) -> &'static str {
    pick(rng, WORDS).copied().unwrap_or_default()
}

/// Plain words, the first of which says where they come from.
fn words(least: usize, most: usize, rng: &mut Rng) -> String {
    // a schema may ask for a string larger than memory
    let least = least.min(1 << 20);
    let mut text = format!("simulated {}", word(rng));
    while text.len() < least {
        text.push(' ');
        text.push_str(word(rng));
    }
    // the words are ASCII: bytes are characters
    text.truncate(most.min(text.len()));
    text
}

fn formatted(format: &str, rng: &mut Rng) -> Option<String> {
    let date = format!("2026-{:02}-{:02}", rng.u8(1..=12), rng.u8(1..=28));
    let time = format!(
        "{:02}:{:02}:{:02}Z",
        rng.u8(..24),
        rng.u8(..60),
        rng.u8(..60)
    );
    let host = format!("{}.example.com", word(rng));
    Some(match format {
        "date-time" => format!("{date}T{time}"),
        "date" => date,
        "time" => time,
        "duration" => format!("PT{}M", rng.u8(1..60)),
        "email" | "idn-email" => format!("{}@example.com", word(rng)),
        "hostname" | "idn-hostname" => host,
        "uri" | "iri" | "url" => format!("https://{host}/{}", word(rng)),
        "uri-reference" | "iri-reference" => format!("/{}", word(rng)),
        "uri-template" => format!("https://{host}/{{id}}"),
        "ipv4" => format!("192.0.2.{}", rng.u8(1..255)),
        "ipv6" => format!("2001:db8::{:x}", rng.u16(1..)),
        "uuid" => uuid(rng),
        "json-pointer" => format!("/{}", word(rng)),
        "relative-json-pointer" => format!("0/{}", word(rng)),
        "regex" => format!("^{}$", word(rng)),
        _ => return None,
    })
}

/// Version 4, variant 1.
fn uuid(rng: &mut Rng) -> String {
    let (a, b) = (rng.u64(..), rng.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        8 + (b >> 60 & 3),
        b >> 48 & 0xfff,
        b & 0xffff_ffff_ffff
    )
}
