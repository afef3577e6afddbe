//! How much a template may hold, before it is compiled.
//!
//! minijinja compiles an expression by recursion and bounds only brackets and blocks, so `{{ ----…1 }}` with some thousand
//! signs overflows the stack and ends the process.

/// Words and signs in one tag.
const MOST_IN_A_TAG: usize = 1500;
/// `elif` in a template: each lies within the one before.
const MOST_ELIF: usize = 300;

/// # Errors
/// What is too much.
pub(super) fn check(source: &str) -> Result<(), String> {
    let mut rest = source;
    let mut elifs = 0;
    while let Some(start) = next_tag(rest) {
        let tag = Tag::read(&rest[start + 2..]);
        if tag.parts > MOST_IN_A_TAG {
            return Err(format!(
                "more than {MOST_IN_A_TAG} words and signs stand between one pair of braces: put text outside of them, and data \
                 into the rows"
            ));
        }
        elifs += usize::from(tag.name == "elif");
        if elifs > MOST_ELIF {
            return Err(format!("it has more than {MOST_ELIF} `elif`"));
        }
        rest = tag.rest;
        if tag.name == "raw" {
            rest = rest.find("endraw").map_or("", |end| &rest[end..]);
        }
    }
    Ok(())
}

/// Where the next tag begins that holds code.
fn next_tag(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find('{')?;
        match text.as_bytes().get(start + 1) {
            Some(b'{' | b'%') => return Some(start),
            Some(b'#') => from = start + 2 + text[start + 2..].find("#}")?,
            _ => from = start + 1,
        }
    }
}

/// What stands between a pair of braces.
struct Tag<'a> {
    name: &'a str,
    parts: usize,
    rest: &'a str,
}

impl<'a> Tag<'a> {
    /// Reads it from behind its opening braces. Where it has no end the rest of the text belongs to it.
    fn read(text: &'a str) -> Self {
        let name = text.trim_start_matches(['-', '+']).trim_start();
        let name = name.split(|c: char| !is_word(c)).next().unwrap_or_default();
        let (mut parts, mut open) = (0, 0_isize);
        let mut chars = text.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            match char {
                '%' | '}' if open == 0 && text[at + 1..].starts_with('}') => {
                    let rest = &text[at + 2..];
                    return Self { name, parts, rest };
                }
                '"' | '\'' => {
                    while let Some((_, inner)) = chars.next()
                        && inner != char
                    {
                        if inner == '\\' {
                            chars.next();
                        }
                    }
                }
                '(' | '[' | '{' => open += 1,
                ')' | ']' | '}' => open -= 1,
                char if is_word(char) => {
                    while chars.next_if(|(_, char)| is_word(*char)).is_some() {}
                }
                char if char.is_whitespace() || char == ',' => continue,
                _ => {}
            }
            parts += 1;
        }
        let rest = "";
        Self { name, parts, rest }
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::template::Template;

    fn compiles(source: String) -> Result<(), String> {
        Template::new("`prompt`", source).map(drop)
    }

    #[test]
    fn what_would_overflow_the_stack_is_refused() {
        let many = 50_000;
        let tag = |start: &str, more: &str, end: &str| format!("{start}{}{end}", more.repeat(many));
        for source in [
            tag("{{ ", "-", "1 }}"),
            tag("{{ ", "not ", "1 }}"),
            tag("{{ 1", "+1", " }}"),
            tag("{{ 1", "~1", " }}"),
            tag("{{ a", ".a", " }}"),
            tag("{{ a", "[0]", " }}"),
            tag("{{ a", "|upper", " }}"),
            tag("{{ ", "1 if 0 else ", "1 }}"),
            tag("{% set a = ", "-", "1 %}"),
            tag("{% if 0 %}", "{% elif 0 %}", "{% endif %}"),
            tag("{% if 0 %}", "{%- elif 0 -%}", "{% endif %}"),
            tag(
                "{{ {'}}': 1}['}}'] }}{# {{ #}{{ {'a': {'b': 1}} and ",
                "-",
                "1 }}",
            ),
            tag("{% raw %}{{{% endraw %}{{ ", "-", "1 }}"),
            tag("{{ '\\'' ~ ", "-", "1 }}"),
        ] {
            let shown = &source[..40];
            assert!(compiles(source.clone()).is_err(), "{shown}");
        }
    }

    #[test]
    fn what_is_just_within_bounds_is_compiled() {
        let tag = |more: &str, many: usize| compiles(format!("{{{{ 1{} }}}}", more.repeat(many)));
        assert_eq!(tag("+1", 740), Ok(()));
        assert_eq!(tag("|abs", 740), Ok(()));
        assert_eq!(tag(".a", 740), Ok(()));
        let elifs = "{% elif 0 %}".repeat(300);
        assert_eq!(
            compiles(format!("{{% if 0 %}}{elifs}{{% endif %}}")),
            Ok(())
        );
        let text = "- [ ] { } % ' ".repeat(10_000);
        assert_eq!(
            compiles(format!(
                "{text}{{# {text} #}}{{% raw %}}{{{{ {text}{{% endraw %}}{text}"
            )),
            Ok(())
        );
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(source in r#"[{}%#'"\\a-c \-é]{0,60}"#) {
            let _either = compiles(source);
        }
    }
}
