//! Values as real servers send them: read for what they mean, not refused for their form.
//!
//! The forms are those of wire-formats.md, section 7: `content` null, empty or an array of parts; `arguments` an object or
//! text; numbers as text; words as numbers.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Text, or the text of parts; `None` for null and for what is no text.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) Option<String>);

/// A count; `None` for null, negative numbers and what is no number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count(pub(super) Option<u64>);

/// JSON text, given as text or as the JSON itself.
#[derive(Debug, Default)]
pub(super) struct JsonText(pub(super) Option<String>);

/// A list; null is an empty one.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::deserialize(deserializer)?.unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw.starts_with('"') {
            return serde_json::from_str(raw)
                .map(|text| Self(Some(text)))
                .map_err(serde::de::Error::custom);
        }
        Ok(Self((raw != "null").then(|| raw.to_owned())))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }
    fn visit_u64<E>(self, value: u64) -> Result<Count, E> {
        Ok(Count(Some(value)))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(value).ok()))
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked against both ends"
    )]
    fn visit_f64<E>(self, value: f64) -> Result<Count, E> {
        // beyond 2^53 a float no longer counts
        let countable = (0.0..9e15).contains(&value);
        Ok(Count(countable.then_some(value as u64)))
    }
    fn visit_str<E>(self, value: &str) -> Result<Count, E> {
        Ok(Count(value.parse().ok()))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count(None))
    }
    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Count, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| Count(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Count, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Count(None))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }
    fn visit_str<E>(self, value: &str) -> Result<Text, E> {
        Ok(Text(Some(value.to_owned())))
    }
    fn visit_string<E>(self, value: String) -> Result<Text, E> {
        Ok(Text(Some(value)))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
        Ok(Text(Some(value.to_string())))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
        Ok(Text(Some(value.to_string())))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
        Ok(Text(Some(value.to_string())))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
        Ok(Text(None))
    }
    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        let mut all: Option<String> = None;
        while let Some(Text(piece)) = seq.next_element()? {
            if let Some(piece) = piece {
                all.get_or_insert_default().push_str(&piece);
            }
        }
        Ok(Text(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        let mut text = None;
        let mut shown = true;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "text" => text = map.next_value::<Text>()?.0,
                "type" => {
                    let kind = map.next_value::<Text>()?.0.unwrap_or_default();
                    shown = !matches!(kind.as_str(), "thinking" | "reasoning");
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Text(text.filter(|_| shown)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_text() {
        let cases = [
            (r#""a""#, Some("a")),
            (r#""""#, Some("")),
            ("null", None),
            ("true", None),
            ("404", Some("404")),
            (
                r#"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#,
                Some("ab"),
            ),
            (
                r#"[{"type":"thinking","text":"hm"},{"type":"text","text":"b"}]"#,
                Some("b"),
            ),
            (r#"["a","b"]"#, Some("ab")),
            ("[]", None),
            (r#"{"x":[1,{"y":2}]}"#, None),
        ];
        for (json, expected) in cases {
            let Text(text) = serde_json::from_str(json).unwrap();
            assert_eq!(text.as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn forms_of_counts() {
        let cases = [
            ("7", Some(7)),
            ("7.0", Some(7)),
            (r#""7""#, Some(7)),
            ("-1", None),
            ("1e300", None),
            ("null", None),
            ("[1]", None),
            (r#"{"a":1}"#, None),
        ];
        for (json, expected) in cases {
            let Count(count) = serde_json::from_str(json).unwrap();
            assert_eq!(count, expected, "{json}");
        }
    }

    #[test]
    fn arguments_as_text_or_object() {
        for json in [r#""{\"a\": 1}""#, r#"{"a": 1}"#] {
            let JsonText(text) = serde_json::from_str(json).unwrap();
            assert_eq!(text.as_deref(), Some(r#"{"a": 1}"#));
        }
        let JsonText(text) = serde_json::from_str("null").unwrap();
        assert_eq!(text, None);
    }
}
