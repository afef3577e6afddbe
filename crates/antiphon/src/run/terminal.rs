//! Output lines on a terminal: what models and inputs say must not drive it.

use std::io::{self, Write};

/// Writes JSON with every character escaped that a terminal would obey. Such characters stand only inside strings, so
/// the JSON means the same as before.
#[derive(Debug)]
pub(super) struct HarmlessJson<W>(pub(super) W);

impl<W: Write> Write for HarmlessJson<W> {
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        // lines come whole, so no character is cut in two
        let text = String::from_utf8_lossy(json);
        self.0.write_all(harmless_json(&text).as_bytes())?;
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// JSON with every character escaped that a terminal would obey. It means the same as before.
pub fn harmless_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            // between the tokens of a line that was kept as it came
            '\r' => out.push(' '),
            _ if c.is_control() || turns_the_text(c) => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out
}

/// Characters that change the direction of what follows.
fn turns_the_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_means_the_same_and_nothing_drives_the_terminal() {
        let value = serde_json::json!({"text": "a\u{9b}2J\u{7f}b\u{202e}c\u{1b}[31m ü\n"});
        let mut shown = Vec::new();
        writeln!(HarmlessJson(&mut shown), "{value}").unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
        let line = shown.trim_end();
        assert!(
            !line.contains(|c: char| c.is_control() || turns_the_text(c)),
            "{line:?}"
        );
        assert!(line.contains('ü'));
    }
}
