//! The terminal as the progress bar sees it: a little narrower than it is.
//!
//! A drawn bar fills its line, and the terminal shows the keys of Ctrl-C behind it. In a line that is full they begin a
//! new one, and the bar above it, out of reach, would stay for good.

use std::{
    fmt,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use indicatif::TermLike;

/// Columns that are left free: `^C`, and one so that the cursor stays in its line.
pub(crate) const ECHO_COLUMNS: usize = 3;

/// Draws to a stream; the width is asked for at each drawing, since windows change.
pub(crate) struct BarTerminal<W> {
    stream: Mutex<W>,
    width: fn() -> usize,
}

impl<W> fmt::Debug for BarTerminal<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BarTerminal")
    }
}

impl<W: Write> BarTerminal<W> {
    pub(crate) fn new(stream: W, width: fn() -> usize) -> Self {
        Self {
            stream: Mutex::new(stream),
            width,
        }
    }

    fn stream(&self) -> MutexGuard<'_, W> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the cursor by escape: up `A`, down `B`, right `C`, left `D`.
    fn step(&self, steps: usize, way: char) -> io::Result<()> {
        // nought would mean one
        if steps == 0 {
            return Ok(());
        }
        write!(self.stream(), "\u{1b}[{steps}{way}")
    }
}

impl<W: Write + Send> TermLike for BarTerminal<W> {
    fn width(&self) -> u16 {
        let width = (self.width)().saturating_sub(ECHO_COLUMNS);
        u16::try_from(width).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, steps: usize) -> io::Result<()> {
        self.step(steps, 'A')
    }

    fn move_cursor_down(&self, steps: usize) -> io::Result<()> {
        self.step(steps, 'B')
    }

    fn move_cursor_right(&self, steps: usize) -> io::Result<()> {
        self.step(steps, 'C')
    }

    fn move_cursor_left(&self, steps: usize) -> io::Result<()> {
        self.step(steps, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        writeln!(self.stream(), "{line}")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.stream().write_all(text.as_bytes())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write_str("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        self.stream().flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use indicatif::{ProgressBar, ProgressDrawTarget};

    use super::*;

    /// What was drawn, shared with the test.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_drawn_bar_leaves_room_for_the_keys_of_an_interrupt() {
        let screen = Screen::default();
        let terminal = BarTerminal::new(screen.clone(), || 40);
        let target = ProgressDrawTarget::term_like(Box::new(terminal));
        let bar = ProgressBar::with_draw_target(Some(10), target);
        bar.set_style(indicatif::ProgressStyle::with_template("{msg}").unwrap());
        bar.set_message("12/40");
        bar.force_draw();
        let drawn = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
        let lines = drawn
            .split(['\r', '\n'])
            .map(|line| line.replace("\u{1b}[2K", ""));
        let longest = lines.map(|line| line.chars().count()).max();
        assert!(drawn.contains("12/40"), "{drawn:?}");
        assert!(longest <= Some(40 - "^C".len() - 1), "{drawn:?}");
        bar.finish_and_clear();
    }
}
