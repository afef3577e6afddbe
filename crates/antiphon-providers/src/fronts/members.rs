//! Where the members of a JSON object stand in its text.

use std::ops::Range;

/// A member of an object.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name, quotes included.
    name: Range<usize>,
    /// Its value.
    pub(super) value: Range<usize>,
    /// What to cut so that the rest is an object without it: with the comma before, else with the one after.
    pub(super) cut: Range<usize>,
}

impl Member {
    pub(super) fn is_named(&self, name: &str, json: &[u8]) -> bool {
        let quoted = &json[self.name.clone()];
        quoted.len() == name.len() + 2 && &quoted[1..quoted.len() - 1] == name.as_bytes()
    }
}

/// The members of an object; `None` for what is no object.
pub(super) fn members(json: &[u8]) -> Option<Vec<Member>> {
    let mut at = expect(json, skip_space(json, 0), b'{')?;
    let mut members: Vec<Member> = Vec::new();
    let mut comma = None;
    loop {
        at = skip_space(json, at);
        if members.is_empty() && json.get(at) == Some(&b'}') {
            return Some(members);
        }
        if let (Some(_), [first]) = (comma, members.as_mut_slice()) {
            first.cut.end = at;
        }
        let name = at..skip_string(json, at)?;
        at = expect(json, skip_space(json, name.end), b':')?;
        let start = skip_space(json, at);
        let end = skip_value(json, start)?;
        let value = start..end;
        members.push(Member {
            cut: comma.unwrap_or(name.start)..end,
            name,
            value,
        });
        at = skip_space(json, end);
        match json.get(at)? {
            b',' => comma = Some(at),
            b'}' => return Some(members),
            _ => return None,
        }
        at += 1;
    }
}

fn expect(json: &[u8], at: usize, byte: u8) -> Option<usize> {
    (json.get(at) == Some(&byte)).then_some(at + 1)
}

fn skip_space(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    let space = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
    at + space.count()
}

/// The place behind a string that begins here.
fn skip_string(json: &[u8], at: usize) -> Option<usize> {
    let mut at = expect(json, at, b'"')?;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The place behind a value of any kind that begins here.
fn skip_value(json: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut depth = 0_usize;
    loop {
        match json.get(at)? {
            b'"' => at = skip_string(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' | b',' if depth == 0 => break,
            byte if depth == 0 && byte.is_ascii_whitespace() => break,
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            _ => at += 1,
        }
        let was_closed = depth == 0 && matches!(json[at - 1], b'"' | b'}' | b']');
        if was_closed {
            break;
        }
    }
    (at > start).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text without the member of this name.
    fn cut(json: &str, name: &str) -> Option<String> {
        let members = members(json.as_bytes())?;
        let member = members.iter().find(|m| m.is_named(name, json.as_bytes()))?;
        Some(format!(
            "{}{}",
            &json[..member.cut.start],
            &json[member.cut.end..]
        ))
    }

    #[test]
    fn a_member_is_cut_and_the_rest_stays() {
        let cases = [
            (r#"{"u":null}"#, "{}"),
            (r#"{"a":1,"u":null}"#, r#"{"a":1}"#),
            (r#"{"u":null,"a":1}"#, r#"{"a":1}"#),
            (r#"{ "u" : null , "a" : 1 }"#, r#"{ "a" : 1 }"#),
            (
                r#" {"a": [1, {"u":2}] , "u" : null , "b": "}\"," } "#,
                r#" {"a": [1, {"u":2}]  , "b": "}\"," } "#,
            ),
            (
                r#"{"a":"x","u":{"b":[]},"c":-1e5}"#,
                r#"{"a":"x","c":-1e5}"#,
            ),
        ];
        for (json, expected) in cases {
            assert_eq!(cut(json, "u").unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for json in [
            "",
            "[]",
            "7",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            r#"{"a":"\"#,
            r#"{"a":1 2}"#,
        ] {
            assert!(members(json.as_bytes()).is_none(), "{json}");
        }
        assert!(members(b"{}").unwrap().is_empty());
    }
}
