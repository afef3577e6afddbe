//! A string that matches a regular expression: best effort, for the expressions that schemas have.
//!
//! Classes, groups, alternatives and repetition are understood; look-around and back references are not, and give
//! `None`.

use std::{iter::Peekable, str::Chars};

use fastrand::Rng;

/// Characters that one string may have, and depth of groups: patterns come from strangers.
const MOST_CHARS: usize = 1 << 16;
const MOST_DEPTH: u32 = 50;
/// Repetitions beyond the least that an open end may add.
const EXTRA: u32 = 4;
/// What `.` and negated classes draw from.
const PRINTABLE: (char, char) = ('!', '~');

/// A string that matches.
pub(super) fn matching(pattern: &str, rng: &mut Rng) -> Option<String> {
    let mut reader = Reader {
        chars: pattern.chars().peekable(),
        depth: 0,
    };
    let node = reader.alternatives()?;
    // a closing bracket too many
    if reader.chars.next().is_some() {
        return None;
    }
    let mut text = String::new();
    write(&node, &mut text, rng);
    Some(text)
}

enum Node {
    Class(Vec<(char, char)>),
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
    Repeat(Box<Node>, u32, u32),
}

fn write(node: &Node, text: &mut String, rng: &mut Rng) {
    if text.len() > MOST_CHARS {
        return;
    }
    match node {
        Node::Class(ranges) => {
            if let Some(&(first, last)) = crate::dice::pick(rng, ranges) {
                text.push(rng.char(first..=last));
            }
        }
        Node::Sequence(nodes) => nodes.iter().for_each(|node| write(node, text, rng)),
        Node::Alternatives(nodes) => {
            if let Some(node) = crate::dice::pick(rng, nodes) {
                write(node, text, rng);
            }
        }
        Node::Repeat(node, least, most) => {
            for _ in 0..rng.u32(*least..=*most) {
                if text.len() > MOST_CHARS {
                    return;
                }
                write(node, text, rng);
            }
        }
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    depth: u32,
}

impl Reader<'_> {
    fn alternatives(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return None;
        }
        let mut options = vec![self.sequence()?];
        while self.chars.next_if_eq(&'|').is_some() {
            options.push(self.sequence()?);
        }
        self.depth -= 1;
        Some(Node::Alternatives(options))
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while let Some(&next) = self.chars.peek() {
            if next == '|' || next == ')' {
                break;
            }
            self.chars.next();
            let node = match next {
                // anchors: the whole string is the match
                '^' | '$' => continue,
                '(' => self.group()?,
                '[' => self.class()?,
                '.' => Node::Class(vec![PRINTABLE]),
                '\\' => match self.escape()? {
                    Escape::Set(ranges) => Node::Class(ranges),
                    Escape::Boundary => continue,
                },
                literal => Node::Class(vec![(literal, literal)]),
            };
            nodes.push(self.repeated(node)?);
        }
        Some(Node::Sequence(nodes))
    }

    fn group(&mut self) -> Option<Node> {
        if self.chars.next_if_eq(&'?').is_some() {
            match self.chars.next()? {
                ':' => {}
                'P' | '<' => {
                    let mut name = String::new();
                    for c in self.chars.by_ref().take_while(|c| *c != '>') {
                        name.push(c);
                    }
                    // `(?<=` and `(?<!` look behind
                    if name.starts_with(['=', '!']) {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        let inner = self.alternatives()?;
        self.chars.next_if_eq(&')').map(|_| inner)
    }

    fn repeated(&mut self, node: Node) -> Option<Node> {
        let (least, most) = match self.chars.peek() {
            Some('*') => (0, EXTRA),
            Some('+') => (1, 1 + EXTRA),
            Some('?') => (0, 1),
            Some('{') => return self.counted(node),
            _ => return Some(node),
        };
        self.chars.next();
        self.chars.next_if(|c| matches!(c, '?' | '+'));
        Some(Node::Repeat(Box::new(node), least, most))
    }

    fn counted(&mut self, node: Node) -> Option<Node> {
        self.chars.next();
        let counts: String = self.chars.by_ref().take_while(|c| *c != '}').collect();
        let (least, most) = match counts.split_once(',') {
            None => (counts.parse().ok()?, counts.parse().ok()?),
            Some((least, "")) => {
                let least: u32 = least.parse().ok()?;
                (least, least.saturating_add(EXTRA))
            }
            Some((least, most)) => (least.parse().ok()?, most.parse().ok()?),
        };
        self.chars.next_if_eq(&'?');
        (least <= most).then(|| Node::Repeat(Box::new(node), least, most))
    }

    fn class(&mut self) -> Option<Node> {
        let negated = self.chars.next_if_eq(&'^').is_some();
        let mut ranges: Vec<(char, char)> = Vec::new();
        let mut first = true;
        loop {
            let next = self.chars.next()?;
            if next == ']' && !first {
                break;
            }
            first = false;
            let start = match next {
                '\\' => match self.escape()? {
                    Escape::Set(set) if set.len() == 1 && set[0].0 == set[0].1 => set[0].0,
                    Escape::Set(set) => {
                        ranges.extend(set);
                        continue;
                    }
                    Escape::Boundary => '\u{8}',
                },
                c => c,
            };
            ranges.push((start, self.range_end(start)?));
        }
        if negated {
            ranges = without(&ranges);
        }
        (!ranges.is_empty()).then_some(Node::Class(ranges))
    }

    /// The end of a range `a-z`; the start itself where no range follows.
    fn range_end(&mut self, start: char) -> Option<char> {
        let mut ahead = self.chars.clone();
        if ahead.next() != Some('-') || matches!(ahead.peek(), None | Some(']')) {
            return Some(start);
        }
        self.chars.next();
        let end = match self.chars.next()? {
            '\\' => match self.escape()? {
                Escape::Set(set) => set.first()?.0,
                Escape::Boundary => return None,
            },
            c => c,
        };
        (start <= end).then_some(end)
    }

    fn escape(&mut self) -> Option<Escape> {
        let one = |c: char| Escape::Set(vec![(c, c)]);
        Some(match self.chars.next()? {
            'd' => Escape::Set(vec![('0', '9')]),
            'w' => Escape::Set(vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')]),
            's' => one(' '),
            'D' | 'S' => Escape::Set(vec![('a', 'z')]),
            'W' => Escape::Set(vec![('!', '/')]),
            'b' | 'B' | 'A' | 'z' | 'Z' => Escape::Boundary,
            'n' => one('\n'),
            'r' => one('\r'),
            't' => one('\t'),
            'x' => one(self.code(2)?),
            'u' => one(self.code(4)?),
            'p' => self.property()?,
            c if c.is_ascii_digit() => return None,
            c => one(c),
        })
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let hex: String = match self.chars.next_if_eq(&'{') {
            Some(_) => self.chars.by_ref().take_while(|c| *c != '}').collect(),
            None => self.chars.by_ref().take(digits).collect(),
        };
        char::from_u32(u32::from_str_radix(&hex, 16).ok()?)
    }

    fn property(&mut self) -> Option<Escape> {
        self.chars.next_if_eq(&'{')?;
        let name: String = self.chars.by_ref().take_while(|c| *c != '}').collect();
        let ranges = match name.as_str() {
            "L" | "Letter" | "Alphabetic" => vec![('a', 'z'), ('A', 'Z'), ('à', 'ö')],
            "Lu" => vec![('A', 'Z')],
            "Ll" => vec![('a', 'z')],
            "N" | "Nd" => vec![('0', '9')],
            _ => return None,
        };
        Some(Escape::Set(ranges))
    }
}

enum Escape {
    Set(Vec<(char, char)>),
    /// Something that matches no character of its own.
    Boundary,
}

/// The printable characters outside the ranges.
fn without(ranges: &[(char, char)]) -> Vec<(char, char)> {
    (PRINTABLE.0..=PRINTABLE.1)
        .filter(|c| {
            !ranges
                .iter()
                .any(|(first, last)| (first..=last).contains(&c))
        })
        .map(|c| (c, c))
        .collect()
}
