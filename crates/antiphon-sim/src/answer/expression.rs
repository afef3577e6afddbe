//! Written-out arithmetic: `17 + 4 * (2 - 5)`.

/// The value of the longest arithmetic expression in a text, where one with an operator stands.
pub(super) fn value_in(text: &str) -> Option<f64> {
    let text: String = text
        .chars()
        .map(|c| match c {
            '×' | '·' => '*',
            '÷' => '/',
            '−' => '-',
            other => other,
        })
        .filter(|c| *c != ',')
        .collect();
    let is_part = |c: char| c.is_ascii_digit() || " .+-*/()".contains(c);
    text.split(|c| !is_part(c))
        .filter(|run| run.contains(|c: char| c.is_ascii_digit()))
        .filter(|run| {
            run.trim_start_matches([' ', '-'])
                .contains(['+', '-', '*', '/'])
        })
        .max_by_key(|run| run.len())
        .and_then(|run| {
            let run = run.trim().trim_end_matches('.');
            Parser {
                rest: run.as_bytes(),
                depth: 0,
            }
            .all()
        })
        .filter(|value| value.is_finite())
}

struct Parser<'a> {
    rest: &'a [u8],
    depth: u8,
}

impl Parser<'_> {
    fn all(mut self) -> Option<f64> {
        let value = self.sum()?;
        self.skip_spaces();
        self.rest.is_empty().then_some(value)
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn take(&mut self, wanted: &[u8]) -> Option<u8> {
        self.skip_spaces();
        let first = *self.rest.first()?;
        wanted.contains(&first).then(|| {
            self.rest = &self.rest[1..];
            first
        })
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        while let Some(operator) = self.take(b"+-") {
            let next = self.product()?;
            value = if operator == b'+' {
                value + next
            } else {
                value - next
            };
        }
        Some(value)
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.factor()?;
        while let Some(operator) = self.take(b"*/") {
            let next = self.factor()?;
            value = if operator == b'*' {
                value * next
            } else {
                value / next
            };
        }
        Some(value)
    }

    fn factor(&mut self) -> Option<f64> {
        // a question of a million brackets must not end the process
        self.depth = self.depth.checked_add(1)?;
        let value = if self.take(b"-").is_some() {
            -self.factor()?
        } else if self.take(b"(").is_some() {
            let inner = self.sum()?;
            self.take(b")")?;
            inner
        } else {
            self.number()?
        };
        self.depth -= 1;
        Some(value)
    }

    fn number(&mut self) -> Option<f64> {
        self.skip_spaces();
        let end = self
            .rest
            .iter()
            .position(|byte| !byte.is_ascii_digit() && *byte != b'.')
            .unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        std::str::from_utf8(number).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::value_in;

    #[test]
    fn expressions_are_worked_out() {
        for (text, value) in [
            ("What is 17 + 25?", 42.0),
            ("Compute 2 * (3 + 4) - 1.", 13.0),
            ("12 ÷ 4 × 2 = ?", 6.0),
            ("1,000 - 1", 999.0),
        ] {
            assert_eq!(value_in(text), Some(value), "{text}");
        }
        assert_eq!(value_in("She has 3 apples, he has 4."), None);
        assert_eq!(value_in("1 / 0"), None);
        assert_eq!(value_in(&"(".repeat(100_000)), None);
        assert_eq!(value_in(&format!("1+{}", "(".repeat(100_000))), None);
    }
}
