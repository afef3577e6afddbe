//! [`Outline`]: the top of a JSON text, with nothing below it.

use serde_json::Value;

/// Bytes of an outline; a message has no more than its id, its method and `null` for the rest.
const LONGEST: usize = 4096;

/// The fields of a JSON object as they come by, `null` in place of objects and arrays. It takes no memory for them, however
/// long or deep they are.
#[derive(Debug, Default)]
pub(super) struct Outline {
    text: Vec<u8>,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    is_too_long: bool,
}

impl Outline {
    /// Takes the next bytes of the text.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.step(*byte));
    }

    /// What it comes to; `None` where that is no JSON.
    pub(super) fn read(&self) -> Option<Value> {
        let is_whole = self.depth == 0 && !self.is_in_string && !self.is_too_long;
        is_whole.then(|| serde_json::from_slice(&self.text).ok())?
    }

    fn step(&mut self, byte: u8) {
        if self.is_in_string {
            self.keep(&[byte]);
            let ends = byte == b'"' && !self.is_escaped;
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            self.is_in_string = !ends;
            return;
        }
        match byte {
            b'{' | b'[' => {
                match self.depth {
                    0 => self.keep(&[byte]),
                    1 => self.keep(b"null"),
                    _ => {}
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.keep(&[byte]);
                }
            }
            _ => {
                self.is_in_string = byte == b'"';
                self.keep(&[byte]);
            }
        }
    }

    /// Keeps what stands at the top.
    fn keep(&mut self, bytes: &[u8]) {
        if self.depth > 1 {
            return;
        }
        self.is_too_long |= self.text.len() + bytes.len() > LONGEST;
        if !self.is_too_long {
            self.text.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn outline(text: &str) -> Option<Value> {
        let mut outline = Outline::default();
        outline.take(text.as_bytes());
        outline.read()
    }

    #[test]
    fn what_is_below_the_top_is_left_out() {
        let text = r#"{"id": 7, "params": {"a": [1, {"b": "}]"}]}, "method": "x\"]}", "l": []}"#;
        let top = json!({"id": 7, "params": null, "method": "x\"]}", "l": null});
        assert_eq!(outline(text), Some(top));
    }

    #[test]
    fn depth_and_length_do_not_matter_below_the_top() {
        let deep = format!(
            r#"{{"params":{}{},"id":"a"}}"#,
            "[".repeat(500_000),
            "]".repeat(500_000)
        );
        assert_eq!(outline(&deep), Some(json!({"params": null, "id": "a"})));
        let long = format!(r#"{{"a":"{}","id":1}}"#, "x".repeat(LONGEST));
        assert_eq!(outline(&long), None);
    }

    #[test]
    fn what_is_no_json_has_none() {
        for text in ["", "hello", "{", "}", r#"{"id": 1"#, r#"{"id" 1}"#, "\"a"] {
            assert_eq!(outline(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_fields_of_any_object_are_found(id in any::<i64>(), text in ".{0,40}", below in ".{0,40}") {
            let message = json!({"params": {"t": [below]}, "id": id, "method": text});
            let top = json!({"params": null, "id": id, "method": text});
            prop_assert_eq!(outline(&message.to_string()), Some(top));
        }
    }
}
