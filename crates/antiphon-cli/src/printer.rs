//! The one place that writes: stdout is data, stderr is talk.
//!
//! Text of models, providers and input passes [`clean`] first, so that it can never drive the terminal.

use std::io::{self, IsTerminal, Write};

use antiphon::run::harmless_json;
use indicatif::ProgressBar;

/// Writes to the user.
#[derive(Debug)]
pub(crate) struct Printer {
    bar: ProgressBar,
    /// Whether stdout is a terminal, which obeys what is written to it.
    is_shown: bool,
}

impl Printer {
    pub(crate) fn new() -> Self {
        Self::with_bar(ProgressBar::hidden())
    }

    /// With a bar, above which lines are written from now on.
    pub(crate) fn with_bar(bar: ProgressBar) -> Self {
        Self {
            bar,
            is_shown: io::stdout().is_terminal(),
        }
    }

    /// Takes the bar away for good.
    pub(crate) fn end_bar(&self) {
        self.bar.finish_and_clear();
    }

    /// A line of talk.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| {
            // a closed stderr is no reason to stop
            let _closed = writeln!(anstream::stderr(), "{}", clean(line));
        });
    }

    /// An error, with its causes and hints.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.bar.suspend(|| {
            let red = "\u{1b}[1;31merror:\u{1b}[0m";
            let _closed = writeln!(anstream::stderr(), "{red} {}", clean(&format!("{error:#}")));
        });
    }

    /// What to do next, after an error.
    pub(crate) fn hint(&self, hint: &str) {
        self.bar.suspend(|| {
            let cyan = "\u{1b}[36mhint:\u{1b}[0m";
            let _closed = writeln!(anstream::stderr(), "{cyan} {}", clean(hint));
        });
    }

    /// Data for stdout. A reader that is gone is no failure.
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        write_to_stdout(text).map(drop)
    }

    /// What models said, for stdout: as it is for files and pipes, harmless on a terminal. Gives whether there still is
    /// a reader.
    pub(crate) fn text(&self, text: &str) -> io::Result<bool> {
        match self.is_shown {
            true => write_to_stdout(&clean(text)),
            false => write_to_stdout(text),
        }
    }

    /// A line of JSON for stdout, which means the same on a terminal and drives none. Gives whether there still is a
    /// reader.
    pub(crate) fn json(&self, value: &serde_json::Value) -> io::Result<bool> {
        let line = format!("{value}\n");
        match self.is_shown {
            true => write_to_stdout(&harmless_json(&line)),
            false => write_to_stdout(&line),
        }
    }
}

fn write_to_stdout(text: &str) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// Makes text harmless for a terminal: control characters (C0, C1, escape) and those that turn the direction of
/// writing are shown as what they are.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (c.is_control() && c != '\n' && c != '\t') || turns {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn nothing_that_drives_a_terminal_comes_through() {
        let hostile = "a\u{1b}]52;c;AAAA\u{7}b\u{9b}2Jc\u{202e}d\re";
        let shown = clean(hostile);
        assert!(shown.chars().all(|c| !c.is_control()), "{shown:?}");
        assert!(!shown.contains('\u{202e}'));
        assert_eq!(clean("1\n2\tü"), "1\n2\tü");
    }
}
