//! Output lines as a person reads them.

use std::io::{self, Write};

use serde_json::Value;

use super::terminal::harmless_json;

/// Writes a block for each output line: the row's name, and its answer or what went wrong.
#[derive(Debug)]
pub(super) struct Readable<W>(pub(super) W);

impl<W: Write> Write for Readable<W> {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        // lines come whole
        for line in lines.split(|byte| *byte == b'\n') {
            if let Ok(line) = serde_json::from_slice(line) {
                self.0.write_all(harmless_json(&block(&line)).as_bytes())?;
            }
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn block(line: &Value) -> String {
    let text = |pointer: &str| line.pointer(pointer).and_then(Value::as_str);
    let mut block = format!("{}\n", text("/custom_id").unwrap_or_default());
    if let Some(message) = text("/error/message") {
        let code = text("/error/code").unwrap_or("error");
        block.push_str(&format!("  failed, {code}: {}\n", on_one_line(message)));
        return block;
    }
    match line.pointer("/antiphon/parsed") {
        Some(Value::Object(fields)) => {
            for (name, value) in fields {
                let value = match value {
                    Value::String(text) => on_one_line(text),
                    Value::Null => "–".to_owned(),
                    value => value.to_string(),
                };
                block.push_str(&format!("  {}: {value}\n", on_one_line(name)));
            }
        }
        _ => {
            let answer = text("/antiphon/text").unwrap_or_default();
            block.push_str(&format!("  {}\n", on_one_line(answer)));
        }
    }
    block
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_block_is_the_name_and_the_fields_or_the_failure() {
        let lines = [
            json!({"custom_id": "a.md", "error": null,
                "antiphon": {"text": "{}", "parsed": {"who": "x\n\u{1b}[2Jy", "when": null, "sure": 0.5}}}),
            json!({"custom_id": "b.md", "error": {"code": "invalid_line", "message": "the document is empty"},
                "antiphon": {"text": null, "parsed": null}}),
            json!({"custom_id": "c", "error": null, "antiphon": {"text": "two\nlines", "parsed": null}}),
        ];
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut shown = Vec::new();
        Readable(&mut shown).write_all(lines.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(shown).unwrap(),
            "a.md\n  who: x \\u001b[2Jy\n  when: –\n  sure: 0.5\n\
             b.md\n  failed, invalid_line: the document is empty\n\
             c\n  two lines\n"
        );
    }
}
